"""The runs of the check: to the end, to a step in between, resumed from there, killed and resumed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.model import Run
from rldk.core.table import MetricTable
from rldk.engine.processes.injection import injected
from rldk.engine.replicas.command import CommandTemplate
from rldk.engine.replicas.launch import ReplicaCommand
from rldk.engine.replicas.launchers.local import LocalLauncher
from rldk.engine.replicas.reading import read_metrics
from rldk.engine.replicas.running import ReplicaLimits
from rldk.engine.replicas.trial import CommandTrial, TrialPlan, run_trials
from rldk.errors import OutputError
from rldk.resume.checkpoints import files_seen
from rldk.resume.states import StepState, read_states

HOOKS = Path(__file__).parent / "inject" / "rldk_states.py"
STATES = "states.jsonl"
RESUME, SAVE = "{resume}", "{save}"
SEED = 42
LOOK_S = 0.1  # between two looks at the metrics of a run that is to be killed


class ResumeJob(Struct, frozen=True, kw_only=True):
    """What all runs share. `resume`, `save`: the words that stand for `{resume}` and `{save}`."""

    template: CommandTemplate
    resume: tuple[str, ...]
    save: tuple[str, ...]
    home: Path
    cwd: Path
    limits: ReplicaLimits
    at: int
    steps: int
    wanted: tuple[str, ...] | None = None
    begin: Callable[[str], object] = lambda _: None


class ResumeRun(Struct, frozen=True, kw_only=True):
    """One run. `states`: at its optimizer steps; empty without torch. `seen`: the checkpoint files that it found when
    it began, with inode and time."""

    name: str
    trial: CommandTrial
    states: tuple[StepState, ...] = ()
    seen: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """What the command wrote."""
        return self.trial.plan.out

    @property
    def run(self) -> Run | None:
        """What it logged."""
        return self.trial.metrics.run

    @property
    def table(self) -> MetricTable | None:
        """The metrics that it logged."""
        return None if self.run is None else self.run.metrics


def run_once(
    job: ResumeJob,
    name: str,
    *,
    steps: int,
    saves: bool = True,
    checkpoint: Path | None = None,
    kill: int | None = None,
    start: Path | None = None,
) -> ResumeRun:
    """Makes one run. `saves`: whether `{save}` is filled. `checkpoint`: resume from it. `start`: a folder whose content
    the run finds in `{out}`. `kill`: kill it in the middle of that optimizer step, or, for 0, once it has logged the
    step after `job.at`."""
    folder = job.home / name
    out = folder / "out"
    if start is not None:
        try:
            shutil.copytree(start, out, symlinks=True)
        except OSError as error:
            raise OutputError.of(out, error) from None
        if checkpoint is not None and checkpoint.is_relative_to(start):
            checkpoint = out / checkpoint.relative_to(start)
    seen = files_seen(out)
    values = {"steps": str(steps), "seed": str(SEED), "at": str(job.at)}
    values |= {} if checkpoint is None else {"checkpoint": str(checkpoint)}
    words = _expanded(job.template.words, RESUME, job.resume if checkpoint is not None else ())
    words = _expanded(words, SAVE, job.save if saves else ())
    variables: dict[str, str | None] = {**injected(HOOKS), "RLDK_STATES": str(folder / STATES)}
    limits = job.limits
    if kill:
        variables["RLDK_KILL_AT"] = str(kill)
    elif kill is not None:
        limits = replace(limits, stop=_logged_beyond(job.at, job.wanted))
    plan = TrialPlan(
        label=name,
        template=replace(job.template, words=words),
        folder=folder,
        cwd=job.cwd,
        values=values,
        variables={**variables, "RLDK_DIR": str(out)},
    )
    launcher = LocalLauncher(kill=kill is not None)
    ((_, trial),) = run_trials([plan], launcher, limits, wanted=job.wanted, begin=job.begin)
    return ResumeRun(name=name, trial=trial, states=read_states(folder / STATES), seen=seen)


def _expanded(words: Sequence[str], name: str, by: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for word in words for one in (by if word == name else (word,)))


def _logged_beyond(at: int, wanted: tuple[str, ...] | None) -> Callable[[ReplicaCommand], bool]:
    """Whether a running command has logged a step after `at`; looked at now and then."""
    import time

    last = time.monotonic()

    def stop(command: ReplicaCommand) -> bool:
        nonlocal last
        if time.monotonic() - last < LOOK_S:
            return False
        last = time.monotonic()
        run = read_metrics(command.folder, wanted).run
        return run is not None and bool(run.metrics.step.size) and int(run.metrics.step.max()) > at

    return stop
