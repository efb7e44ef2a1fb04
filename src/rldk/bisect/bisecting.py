"""Finds the first bad commit, or the first bad version of a package."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.bisect.driving import Bisection, Effort, conclude_bisect
from rldk.bisect.history import SearchSpace, commits_between, versions_between
from rldk.bisect.places import ENVIRONMENTS, STORE, CommitPlaces, VersionPlaces
from rldk.bisect.predicate import MetricCondition, metric_condition
from rldk.bisect.report import BisectResult
from rldk.bisect.round import BisectTask
from rldk.bisect.state import BisectState, default_home, locked
from rldk.engine.replicas.command import CommandTemplate, command_template
from rldk.engine.replicas.launch import launchers
from rldk.engine.replicas.running import ReplicaLimits
from rldk.engine.replicas.trial import GIB
from rldk.errors import UsageError
from rldk.provenance.work_trees import repository_root

Told = Callable[[str], object]


class _Question(Struct, frozen=True, kw_only=True):
    """When a run is bad. `template`: the command; `predicate`: the one that judges after it."""

    template: CommandTemplate | None
    predicate: CommandTemplate | None
    condition: MetricCondition | None
    words: str


def bisect_commits(  # noqa: PLR0913 - documented options, by name
    good_sha: str,
    bad_sha: str = "HEAD",
    cmd: str | Sequence[str] | None = None,
    metric: str | None = None,
    cmp: str | None = None,
    *,
    window: int = 100,
    shell_predicate: str | None = None,
    repeats: int = 1,
    jobs: int = 1,
    repository: str | os.PathLike[str] | None = None,
    first_parent: bool = False,
    link: Sequence[str] = (),
    timeout: float | None = None,
    max_runs: int | None = None,
    max_output_gib: float = 20.0,
    output_dir: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    begin: Told | None = None,
    expect: Callable[[int], object] | None = None,
) -> BisectResult:
    """Finds the first commit after `good_sha`, up to `bad_sha`, at which a command is bad.

    `cmd`: its words, or a text that is split as a shell would; `{seed}` and `{out}` in it become the seed and a folder
    of the run. `metric`, `cmp`, `window`: a run is bad when the mean of the last `window` values of the metric compares
    so, as in "> 0.2"; a run that fails or does not log the metric is skipped. Without a metric the exit code decides: 0
    is good, 125 is skipped, others are bad. `shell_predicate`: a shell command that judges in the same way, after `cmd`
    where there is one. Each run has a detached work tree of its own; the user's is only read.

    `repeats`: 1 trusts each run. More: a run may be wrong by chance. The ends are then run so many times each, and
    commits until one has 95 % of the probability, or after `max_runs` (300). `jobs`: runs at a time. `repository`: the
    current one by default. `link`: files that no commit has. `timeout`: seconds for each command. `output_dir`: where
    outcomes are kept; an interrupted bisection with the same arguments goes on from there, unless it is `fresh`.
    `begin`: told of each run, `expect`: of how many more there may be.

    Raises `UsageError`, and `InputError` where the ends are not good and bad."""
    started = Path(repository).resolve() if repository is not None else Path.cwd()
    question = _question(cmd, metric, cmp, window, shell_predicate)
    root = repository_root(started)
    space = commits_between(root, good_sha, bad_sha, first_parent=first_parent)
    asked = {"repository": str(root), "good": space.good, "bad": space.bad, "first_parent": first_parent}
    asked |= {"link": list(link), "started": str(started)}
    effort = Effort(repeats=repeats, max_runs=max_runs, begin=begin, expect=expect)
    run = _Run(jobs=jobs, timeout=timeout, max_output_gib=max_output_gib, output_dir=output_dir, fresh=fresh)

    def places(home: Path) -> CommitPlaces:
        return CommitPlaces(started, home, question.template, link)

    return _bisected(space, question, asked, effort, (run, places))


def bisect_versions(  # noqa: PLR0913 - documented options, by name
    package: str,
    versions: str | Sequence[str],
    cmd: str | Sequence[str],
    metric: str | None = None,
    cmp: str | None = None,
    *,
    window: int = 100,
    shell_predicate: str | None = None,
    repeats: int = 1,
    jobs: int = 1,
    timeout: float | None = None,
    max_runs: int | None = None,
    max_output_gib: float = 20.0,
    output_dir: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    begin: Told | None = None,
    expect: Callable[[int], object] | None = None,
) -> BisectResult:
    """Finds the first version of a package with which a command is bad.

    `versions`: "A..B" for all that pip finds from A (good) to B (bad), or the versions themselves, the good one first.
    Each version is installed with pip into an environment of its own, without what it depends on; all other packages
    are those of the Python that the command starts with. The other arguments, and what is raised, are those of
    `bisect_commits`; `culprit_sha` of the result is a version."""
    question = _question(cmd, metric, cmp, window, shell_predicate)
    space = versions_between(package, versions)
    asked: dict[str, Any] = {"package": package, "versions": [space.good, *space.names], "started": str(Path.cwd())}
    effort = Effort(repeats=repeats, max_runs=max_runs, begin=begin, expect=expect)
    run = _Run(jobs=jobs, timeout=timeout, max_output_gib=max_output_gib, output_dir=output_dir, fresh=fresh)

    def places(home: Path) -> VersionPlaces:
        return VersionPlaces(package, Path.cwd(), home, question.template)

    return _bisected(space, question, asked, effort, (run, places))


class _Run(Struct, frozen=True, kw_only=True):
    """How commands are run, and where their outcomes are kept."""

    jobs: int
    timeout: float | None
    max_output_gib: float
    output_dir: str | os.PathLike[str] | None
    fresh: bool


def _bisected(
    space: SearchSpace,
    question: _Question,
    asked: dict[str, Any],
    effort: Effort,
    how: tuple[_Run, Callable[[Path], CommitPlaces | VersionPlaces]],
) -> BisectResult:
    run, places = how
    asked = {**asked, "bad_when": question.words, "noisy": effort.repeats > 1}
    home = Path(run.output_dir).resolve() if run.output_dir is not None else default_home(asked)
    with locked(home):
        task = BisectTask(
            home=home,
            places=places(home),
            launcher=launchers.get("local")(),
            limits=ReplicaLimits(time_s=run.timeout, written=int(run.max_output_gib * GIB)),
            template=question.template,
            predicate=question.predicate,
            condition=question.condition,
            jobs=run.jobs,
        )
        state = BisectState(home, asked, fresh=run.fresh)
        bisection = Bisection(space, task, state, effort)
        bisection.run()
        for part in (STORE, ENVIRONMENTS):
            with suppress(OSError):
                shutil.rmtree(home / part)
        return conclude_bisect(bisection, asked)


def _question(
    cmd: str | Sequence[str] | None, metric: str | None, cmp: str | None, window: int, predicate: str | None
) -> _Question:
    """What decides. Raises `UsageError` where nothing or too much does."""
    if cmd is None and predicate is None:
        raise UsageError(
            "nothing is run at each commit", hint='--cmd "python train.py" or --shell-predicate "make test"'
        )
    if metric is not None and (cmd is None or predicate is not None):
        hint = "give --cmd with --metric and --cmp, or --shell-predicate"
        raise UsageError("a metric is read from a command, and a predicate decides without one", hint=hint)
    if metric is None and cmp is not None:
        raise UsageError(f"{cmp!r} compares nothing", hint="name the metric: --metric kl")
    template = None if cmd is None else command_template(cmd)
    judge = None if predicate is None else CommandTemplate(words=("sh", "-c", predicate))
    condition = None if metric is None else metric_condition(metric, cmp, window)
    shown = " ".join(template.words) if template is not None else ""
    if condition is not None:
        mean = "" if condition.sign == "nan" else f" (mean of the last {window} values)"
        words = f"`{shown}` logs {condition}{mean}"
    else:
        words = f"`{predicate or shown}` fails" + (f" after `{shown}`" if predicate and shown else "")
    return _Question(template=template, predicate=judge, condition=condition, words=words)
