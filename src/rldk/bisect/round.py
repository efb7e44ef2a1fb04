"""Runs a command at several commits or versions at a time, and keeps each outcome as soon as it is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field

from rldk.bisect.places import BisectPlace, BisectPlaces
from rldk.bisect.predicate import BisectOutcome, MetricCondition, outcome_of
from rldk.bisect.state import RUNS, BisectRun
from rldk.cards.safe import clean
from rldk.engine.replicas.command import CommandTemplate
from rldk.engine.replicas.launch import Launcher
from rldk.engine.replicas.reading import WRITTEN
from rldk.engine.replicas.running import ReplicaLimits, folder_size
from rldk.engine.replicas.trial import CommandTrial, TrialPlan, run_trials
from rldk.errors import InputError

KEPT_BYTES = 16 << 20  # of what a run has written; more is removed once its metric is read
SEED = 42


class BisectTask(Struct, frozen=True, kw_only=True):
    """What is run at each commit. `template`: the command, None where only `predicate` is run. `predicate`: a command
    whose exit code decides. `condition`: on a metric of the command. At least one of the three decides."""

    home: Path
    places: BisectPlaces
    launcher: Launcher
    limits: ReplicaLimits
    template: CommandTemplate | None = None
    predicate: CommandTemplate | None = None
    condition: MetricCondition | None = None
    jobs: int = 1


class Request(Struct, frozen=True, kw_only=True):
    """One run to make. `number`: of the run in the whole bisection. `repeat`: how often the name was run before."""

    name: str
    number: int
    repeat: int = 0
    end: str = ""


class _Open(Struct, kw_only=True):
    request: Request
    folder: Path
    place: BisectPlace
    seconds: float = 0.0
    trials: list[CommandTrial] = field(default_factory=list)


def run_round(task: BisectTask, requests: Sequence[Request], begin: Callable[[str], object]) -> Iterator[BisectRun]:
    """Yields each run as soon as its outcome is known. Work trees are removed at the end, whatever happens.

    Raises `UsageError` when a command cannot be started at all."""
    opened: list[_Open] = []
    folders = [task.home / RUNS / f"{one.number:04d}-{one.name[:12].replace('/', '_')}" for one in requests]
    try:
        for request, folder in zip(requests, folders, strict=True):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                place = task.places.make(request.name, folder)
            except InputError as error:
                yield _skipped(request, folder, error.message)
                continue
            opened.append(_Open(request=request, folder=folder, place=place))
        yield from _stages(task, opened, begin)
    finally:
        for folder in folders:
            task.places.clear(folder)
            _shrink(folder)


def _stages(task: BisectTask, opened: list[_Open], begin: Callable[[str], object]) -> Iterator[BisectRun]:
    left = opened
    last = task.predicate if task.predicate is not None else task.template
    for template in (task.template, task.predicate):
        if template is None:
            continue
        final, going = template is last, []
        for one, trial in _trials(task, template, left, begin):
            one.seconds += 0.0 if trial is None else trial.end.seconds
            outcome = _absent(template) if trial is None else _outcome(task, trial, final=final)
            if outcome is None:
                going.append(one)
            else:
                yield _run(one.request, one.folder, outcome, one.seconds)
        left = going


def _outcome(task: BisectTask, trial: CommandTrial, *, final: bool) -> BisectOutcome | None:
    """What the run says; None where the next command decides."""
    if final:
        return outcome_of(trial, task.condition if task.predicate is None else None)
    return BisectOutcome(word="skip", reason=trial.problem) if trial.problem else None


def _trials(
    task: BisectTask, template: CommandTemplate, left: list[_Open], begin: Callable[[str], object]
) -> Iterator[tuple[_Open, CommandTrial | None]]:
    """Each run with its trial; None where the commit does not have the program."""
    plans: list[TrialPlan] = []
    ready: list[_Open] = []
    for one in left:
        own = one.place.template(template)
        if "/" in own.words[0] and not (one.place.cwd / own.words[0]).exists():
            yield one, None
            continue
        ready.append(one)
        plans.append(
            TrialPlan(
                label=f"run {one.request.number} at {one.request.name[:12]}",
                template=own,
                folder=one.folder,
                cwd=one.place.cwd,
                values={"seed": str(SEED + one.request.repeat)},
                variables={"RLDK_DIR": str(one.folder / "out"), **one.place.variables},
                own_cwd=one.place.own,
            )
        )
    read = task.condition is not None and template is task.template
    wanted = None if task.condition is None else [task.condition.metric]
    jobs = task.jobs
    for place, trial in run_trials(plans, task.launcher, task.limits, jobs=jobs, wanted=wanted, read=read, begin=begin):
        yield ready[place], trial


def _absent(template: CommandTemplate) -> BisectOutcome:
    return BisectOutcome(word="skip", reason=f"{template.words[0]} is not there")


def _skipped(request: Request, folder: Path, reason: str) -> BisectRun:
    return _run(request, folder, BisectOutcome(word="skip", reason=reason), 0.0)


def _run(request: Request, folder: Path, outcome: BisectOutcome, seconds: float) -> BisectRun:
    return BisectRun(
        name=request.name,
        word=outcome.word,
        end=request.end,
        value=outcome.value,
        reason=clean(outcome.reason, 300),
        seconds=round(seconds, 3),
        folder=f"{RUNS}/{folder.name}",
    )


def _shrink(folder: Path) -> None:
    """Removes what a run has written, where it is much."""
    for part in (folder / "out", folder / WRITTEN):
        if part.is_dir() and folder_size(part, KEPT_BYTES) > KEPT_BYTES:
            shutil.rmtree(part, ignore_errors=True)
