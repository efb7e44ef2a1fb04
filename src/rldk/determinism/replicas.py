"""Runs the planned replicas and reads what each of them measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from rldk.cards.safe import clean
from rldk.determinism.plan import PlannedReplica, own_folders
from rldk.engine.processes.injection import injected
from rldk.engine.replicas.command import CommandTemplate
from rldk.engine.replicas.endings import ending_problem
from rldk.engine.replicas.launch import STDERR, STDOUT, Launcher, ReplicaCommand, ReplicaEnd
from rldk.engine.replicas.load import busy_processes
from rldk.engine.replicas.reading import OUT, WRITTEN, ReplicaMetrics, read_metrics
from rldk.engine.replicas.running import ReplicaLimits, run_replicas
from rldk.engine.replicas.written import Seen, files_of, keep_written
from rldk.errors import InputError

Begin = Callable[[str], object]
TRACER = Path(__file__).parent / "trace" / "inject" / "rldk_trace.py"
_TAIL = 2000
_DEVICES = {"cpu": ""}


class ReplicaJob(Struct, frozen=True, kw_only=True):
    """What all replicas share. `wanted`: the metrics to compare; None for all."""

    template: CommandTemplate
    folder: Path
    cwd: Path
    limits: ReplicaLimits
    launcher: Launcher
    jobs: int = 1
    steps: int | None = None
    device: str | None = None
    wanted: tuple[str, ...] | None = None


class FinishedReplica(Struct, frozen=True, kw_only=True):
    """A replica that has run. `problem`: why its metrics cannot be compared, "" where they can."""

    planned: PlannedReplica
    folder: Path
    end: ReplicaEnd
    metrics: ReplicaMetrics
    problem: str = ""


def run_planned(job: ReplicaJob, plan: Sequence[PlannedReplica], begin: Begin) -> list[FinishedReplica]:
    """All replicas, in the order of the plan. Those under load run last, alone.

    Raises `UsageError` when the command cannot be started, and `InputError` when the first replica fails or measures
    nothing, since all others would do the same."""
    calm = [one for one in plan if not one.load]
    first = _run(job, calm[:1], begin, "")
    if first[0].problem:
        raise InputError(f"the command cannot be checked: {first[0].problem}", hint=_hint(first[0]))
    place = first[0].metrics.place
    if place == WRITTEN:  # replicas that write to the same places can only be told apart one after the other
        job = replace(job, jobs=1)
    rest = _run(job, calm[1:], begin, place)
    loaded = [done for one in plan if one.load for done in _run(job, [one], begin, place)]
    by_name = {done.planned.name: done for done in (*first, *rest, *loaded)}
    return [by_name[one.name] for one in plan]


def run_more(job: ReplicaJob, plan: Sequence[PlannedReplica], begin: Begin, place: str) -> list[FinishedReplica]:
    """Further replicas, whose metrics are read from where the first had them."""
    return _run(replace(job, jobs=1) if place == WRITTEN else job, plan, begin, place)


def _run(job: ReplicaJob, plan: Sequence[PlannedReplica], begin: Begin, prefer: str) -> list[FinishedReplica]:
    commands = [_command(job, one) for one in plan]
    alone = prefer in ("", WRITTEN)
    before: Seen = {}
    ends: dict[int, ReplicaEnd] = {}

    def started(command: ReplicaCommand) -> None:
        begin(command.label)
        if alone:
            before.clear()
            before.update(files_of(job.cwd, job.folder))

    with ExitStack() as stack:
        stack.enter_context(busy_processes(max((one.load for one in plan), default=0)))
        for place, end in run_replicas(commands, job.launcher, job.limits, job.jobs, started):
            ends[place] = end
            if alone:
                keep_written(job.cwd, before, job.folder, commands[place].folder / WRITTEN)
    return [_finished(job, one, commands[n].folder, ends[n], prefer) for n, one in enumerate(plan)]


def _command(job: ReplicaJob, planned: PlannedReplica) -> ReplicaCommand:
    folder = job.folder / planned.name
    (folder / OUT).mkdir(parents=True)
    values = {"seed": str(planned.seed), "out": str(folder / OUT)}
    values |= {} if job.steps is None else {"steps": str(job.steps)}
    values |= {} if job.device is None else {"device": job.device}
    argv, own = job.template.filled(values)
    hooks = injected(TRACER, {**os.environ, **own}) if planned.role == "trace" else {}
    return ReplicaCommand(
        label=planned.name,
        argv=argv,
        folder=folder,
        cwd=job.cwd,
        variables={**_device(job.device), "WANDB_MODE": "disabled", **own, **own_folders(planned, folder), **hooks},
    )


def _device(device: str | None) -> dict[str, str | None]:
    """The devices that a replica sees: none for "cpu", one for "cuda:1"."""
    if device is None:
        return {}
    number = device.removeprefix("cuda").removeprefix(":")
    if device == "cpu" or number.isdigit():
        return {"CUDA_VISIBLE_DEVICES": _DEVICES.get(device, number)}
    return {}


def _finished(job: ReplicaJob, planned: PlannedReplica, folder: Path, end: ReplicaEnd, prefer: str) -> FinishedReplica:
    problem = ending_problem(planned.name, end, job.limits)
    metrics = ReplicaMetrics() if problem else read_metrics(folder, job.wanted, prefer)
    if not problem and metrics.run is None:
        problem = f"{planned.name} ended well, but {metrics.reason}"
    return FinishedReplica(planned=planned, folder=folder, end=end, metrics=metrics, problem=problem)


def _hint(done: FinishedReplica) -> str:
    """The last lines that a failed replica printed, or what to do about one without metrics."""
    match done.end.how:
        case "late":
            return f"give a longer --timeout, or fewer steps; its output is in {done.folder}"
        case "flooded":
            return f"let it print less; the beginning of what it printed is in {done.folder}"
        case "full":
            return (
                f"make room on the disk, or let it write less; the beginning of each of its files is in {done.folder}"
            )
        case "large":
            return (
                "let it write less into {out}, or give a larger --max-output; "
                f"the beginning of each of its files is in {done.folder}"
            )
        case _ if done.end.code:
            said = last_lines(done.folder / STDERR) or last_lines(done.folder / STDOUT) or "it printed nothing"
            return f"{said} (all of it is in {done.folder})"
        case _:
            return (
                "let it print a line such as `step 3 loss 0.25` at each step, or write a log into {out}; "
                f"what it printed is in {done.folder}"
            )


def last_lines(path: Path, lines: int = 3) -> str:
    """The last lines of a file, made harmless; "" without any."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return " | ".join(clean(line, 300) for line in [x for x in text.splitlines() if x.strip()][-lines:])
