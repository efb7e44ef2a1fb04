"""Runs a recorded run again, from its record, and compares what both logged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.cards.safe import clean
from rldk.core.audit.outcome import CheckOutcome
from rldk.core.files import save
from rldk.engine.replicas.command import CommandTemplate, command_template
from rldk.engine.replicas.given import kept_folder, metric_names
from rldk.engine.replicas.launch import launchers
from rldk.engine.replicas.running import ReplicaLimits
from rldk.engine.replicas.trial import GIB, CommandTrial, TrialPlan, run_trials
from rldk.errors import InputError, UsageError
from rldk.provenance.inputs.outcomes import input_outcomes
from rldk.provenance.interpreters import environment_variables
from rldk.provenance.redirect import CodeRedirect
from rldk.replay.code import ReplayCode, RestoredCode, link_inputs, replay_code
from rldk.replay.comparison import compare_replay
from rldk.replay.conclusion import ReplayEvidence, conclude_replay
from rldk.replay.environment import ReplayEnvironment, replay_environment
from rldk.replay.original import OriginalRun, original_run
from rldk.replay.report import ReplayReport

REPORT = "replay_report.json"
_ABSENT = ("FileNotFoundError", "No such file", "does not exist")
Begin = Callable[[str], object]
Hooks = Callable[[Path, Mapping[str, str]], Mapping[str, str]]


class ReplayChoice(Struct, frozen=True, kw_only=True):
    """How a run is replayed. `seed`: None for that of the record. `repository`: where the commit is. `places`: where
    inputs are now, by name. `link`: files or folders that no commit has, to link into the tree. `build_env`: build the
    recorded packages. `changed_inputs`: go on although an input is not what was recorded. `timeout`: seconds.
    `max_output_gib`: what the command may write. `hooks`: given the folder `{out}` and the environment
    of the command, which variables it gets besides; for a run that was recorded by hooks. `restored`: the code of a run
    that comes from a bundle."""

    tolerance: float = 0.01
    max_steps: int | None = None
    device: str | None = None
    seed: int | None = None
    repository: Path | None = None
    places: Mapping[str, Path] = field(default_factory=dict)
    link: tuple[str, ...] = ()
    build_env: bool = False
    changed_inputs: bool = False
    timeout: float | None = None
    max_output_gib: float = 20.0
    hooks: Hooks | None = None
    restored: RestoredCode | None = None


def replay(  # noqa: PLR0913 - documented options, by name
    run_path: str | os.PathLike[str],
    training_command: str | Sequence[str] | None = None,
    metrics_to_compare: Sequence[str] | str | None = None,
    tolerance: float = 0.01,
    max_steps: int | None = None,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    device: str | None = None,
    seed: int | None = None,
    repository: str | os.PathLike[str] | None = None,
    places: Mapping[str, str | os.PathLike[str]] | None = None,
    link: Sequence[str] = (),
    build_env: bool = False,
    changed_inputs: bool = False,
    timeout: float | None = None,
    max_output_gib: float = 20.0,
    hooks: Hooks | None = None,
    restored: RestoredCode | None = None,
    begin: Begin | None = None,
) -> ReplayReport:
    """Runs a recorded run again and says whether it gives the same numbers.

    `run_path`: a run directory of rldk, or any log that rldk reads. `training_command`: its words, or a text that is
    split as a shell would; no shell runs it; None for the recorded one. `{seed}`, `{out}`, `{steps}` and `{device}` in
    it become the recorded seed, a folder of the replay, `max_steps` and `device`. `metrics_to_compare`: None for all
    but times and memory. `tolerance`: values agree when they differ by at most this share of the larger one; 0: bit by
    bit. `max_steps`: compare the first so many logged steps. The other options are those of `ReplayChoice`.

    The command runs in a detached work tree of the recorded commit, with the recorded changes. Where the record names
    no commit, it runs in the folder that the run was started in, or the current one, and the report says what nobody
    can vouch for. Raises `InputError` when the run cannot be replayed: code, inputs or packages are not there, or the
    command fails or measures nothing. Raises `UsageError` and `UnknownName` for wrong arguments."""
    choice = ReplayChoice(
        tolerance=tolerance,
        max_steps=max_steps,
        device=device,
        seed=seed,
        repository=None if repository is None else Path(repository),
        places={name: Path(place) for name, place in (places or {}).items()},
        link=tuple(link),
        build_env=build_env,
        changed_inputs=changed_inputs,
        timeout=timeout,
        max_output_gib=max_output_gib,
        hooks=hooks,
        restored=restored,
    )
    if not tolerance >= 0 or (max_steps is not None and max_steps < 1):
        raise UsageError("the tolerance is 0 or more, and steps are counted from 1")
    return _saved(
        run_path, training_command, metric_names(metrics_to_compare), choice, (output_dir, begin or (lambda _: None))
    )


def _saved(
    run_path: str | os.PathLike[str],
    command: str | Sequence[str] | None,
    wanted: tuple[str, ...] | None,
    choice: ReplayChoice,
    told: tuple[str | os.PathLike[str] | None, Begin],
) -> ReplayReport:
    """Replays the run, and saves the report beside the output."""
    output_dir, begin = told
    original = original_run(run_path)
    if choice.restored is not None:
        original = replace(original, path=choice.restored.bundle, started=choice.restored.folder)
    template = _template(original, command)
    home = kept_folder(output_dir, "replay")
    try:
        report = _replayed(original, template, wanted, choice, (home, begin))
    except UsageError:  # nothing was started
        if output_dir is None:
            shutil.rmtree(home, ignore_errors=True)
        raise
    from rldk.cards.wire import document, dumps

    save(home / REPORT, dumps(document(report)) + "\n")
    return report


def _replayed(
    original: OriginalRun,
    template: CommandTemplate,
    wanted: tuple[str, ...] | None,
    choice: ReplayChoice,
    told: tuple[Path, Begin],
) -> ReplayReport:
    home, begin = told
    inputs = _inputs(original, choice, begin)
    folder = Path(tempfile.mkdtemp(prefix="replay-", dir=home))
    begin("the recorded code")
    with replay_code(original, choice.repository, folder, choice.restored) as code:
        link_inputs(code, original, choice.link)
        begin("the environment")
        plan, found = _plan(original, code, template, choice, folder)
        begin(f"the replay of {original.run.id}")
        limits = ReplicaLimits(time_s=choice.timeout, written=int(choice.max_output_gib * GIB))
        ((_, trial),) = run_trials([plan], launchers.get("local")(), limits, wanted=wanted)
    _test_trial(trial, code)
    assert trial.metrics.run is not None  # noqa: S101 - just tested
    compared = compare_replay(
        original.run, trial.metrics.run, wanted, tolerance=choice.tolerance, steps=choice.max_steps
    )
    evidence = ReplayEvidence(
        original=original,
        code=code,
        environment=found,
        inputs=inputs,
        trial=trial,
        compared=compared,
        linked=choice.link,
    )
    return conclude_replay(evidence, template, choice.tolerance)


def _test_trial(trial: CommandTrial, code: ReplayCode) -> None:
    """Raises `InputError` when the replay did not come to an end with numbers: it is then no replay."""
    if trial.problem:
        said = clean(trial.said, 900)
        where = f"its output is in {trial.plan.folder}"
        hint = f"{said} ({where})" if said and trial.end.code else where
        if code.root is not None and any(word in said for word in _ABSENT):
            hint = f"{hint}; a file that no commit has is linked into the work tree with --link PATH"
        if trial.end.how == "ended" and not trial.end.code:
            hint = f"let it print a line such as `step 3 loss 0.25` at each step, or write a log into {{out}}; {where}"
        raise InputError(f"could not replay: {trial.problem}", hint=hint)


def _inputs(original: OriginalRun, choice: ReplayChoice, begin: Begin) -> tuple[CheckOutcome, ...]:
    if original.record is None:
        return ()

    def told(name: str) -> None:
        begin(name)

    found = tuple(input_outcomes(original.folder, original.record, original.started, choice.places, told))
    changed = [one for one in found if one.status == "failed"]
    if changed and not choice.changed_inputs:
        hint = "bring it back, say where it is with --at NAME=PATH, or go on all the same with --changed-inputs"
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise InputError(
            f"could not replay: {changed[0].part} {changed[0].name}: {changed[0].message}{more}", hint=hint
        )
    return found


def _plan(
    original: OriginalRun, code: ReplayCode, template: CommandTemplate, choice: ReplayChoice, folder: Path
) -> tuple[TrialPlan, ReplayEnvironment]:
    """How the command is run, and the environment that it runs in."""
    cwd, words = code.tree, template.words
    build_in = folder / "environment" if choice.build_env else None
    environment = replay_environment(original.record, words, original.started, build_in=build_in)
    variables: dict[str, str | None] = {"RLDK_DIR": str(folder / "out")}
    if code.root is not None:
        redirect = CodeRedirect(root=code.root, tree=code.tree)
        cwd, words = redirect.place(original.started), redirect.words(words, original.started)
        if environment.facts is not None:
            path = redirect.python_path(environment.facts)
            variables |= {} if path is None else {"PYTHONPATH": path}
    if environment.built is not None:
        words = (str(environment.built), *words[1:])
        variables |= environment_variables(environment.built)
    known = {**os.environ, **{name: value for name, value in variables.items() if value is not None}}
    variables |= choice.hooks(folder / "out", known) if choice.hooks is not None else {}
    values = {} if choice.max_steps is None else {"steps": str(choice.max_steps)}
    values |= {} if choice.device is None else {"device": choice.device}
    seed = choice.seed if choice.seed is not None else original.seed
    values |= {} if seed is None else {"seed": str(seed)}
    if template.has("seed") and seed is None:
        raise UsageError("the record has no seed for {seed} in the command", hint="give --seed")
    plan = TrialPlan(
        label="the replay",
        template=replace(template, words=words),
        folder=folder,
        cwd=cwd,
        values=values,
        variables=variables,
    )
    return plan, environment


def _template(original: OriginalRun, command: str | Sequence[str] | None) -> CommandTemplate:
    """The command. Raises `UsageError` where there is none, or where it would write into the original."""
    recorded = original.record.command if original.record is not None else ()
    if command is None:
        if not recorded:
            raise UsageError("the run has no record of its command", hint='--command "python train.py --seed {seed}"')
        if any("[redacted]" in word for word in recorded):
            raise UsageError("a secret was taken out of the recorded command", hint="give it whole with --command")
        command = list(recorded)
    template = command_template(command)
    for word in template.words:
        path = Path(os.path.normpath(original.started / word.rpartition("=")[2]))
        if original.record is not None and path.is_relative_to(original.folder):
            hint = "write {out} there: the replay gets a folder of its own"
            raise UsageError(f"the command would write into the original run: {word}", hint=hint)
    return template
