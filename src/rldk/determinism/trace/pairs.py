"""Runs traced replicas in pairs: first with digests of every step, then again with the operations of the one that
differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from rldk.determinism.plan import PlannedReplica
from rldk.determinism.replicas import FinishedReplica, ReplicaJob, run_more
from rldk.determinism.trace.comparing import FirstEvent, FirstSegment, first_event, first_segment, sequence
from rldk.determinism.trace.describing import Describer, differing_seeds, first_draw
from rldk.determinism.trace.facts import OperationTrace
from rldk.determinism.trace.reading import ProcessTrace, read_traces
from rldk.errors import InputError

MAX_PAIRS = 3  # a race may move: the step that differs is looked into again where it differs then
FOLDER, START = "RLDK_TRACE", "RLDK_TRACE_START"
Traces = Mapping[str, ProcessTrace]
Expect = Callable[[int], object]


class TracedPair(Struct, frozen=True, kw_only=True):
    """Two traced replicas. `segment`: the first that differs, None where none does. `event`: the first event of it
    that differs, None where its records were not written. `draws`: only draws of chance could be compared."""

    done: tuple[FinishedReplica, ...]
    first: Traces
    second: Traces
    draws: bool = False
    segment: FirstSegment | None = None
    event: FirstEvent | None = None


def trace_replicas(
    job: ReplicaJob, place: str, begin: Callable[[str], object], expect: Expect, *, differ: bool
) -> tuple[OperationTrace, list[FinishedReplica]]:
    """The trace of the command and the replicas that were run for it. `differ`: whether replicas without a trace
    differ, so that a pair that agrees is tried again."""
    pairs: list[TracedPair] = []
    start = 0
    try:
        while len(pairs) < MAX_PAIRS:
            expect(2)
            pairs.append(_pair(job, place, begin, number=len(pairs) + 1, start=start))
            last = pairs[-1]
            if last.event is not None or _problem(last) or (last.segment is None and not differ):
                break
            start = 0 if last.segment is None else max(0, last.segment.place - 1)
    except InputError as error:
        return OperationTrace(equal=None, reason=error.message, pairs=len(pairs)), [d for p in pairs for d in p.done]
    done = [one for pair in pairs for one in pair.done]
    return _conclude(job, pairs, differ=differ), done


def _pair(job: ReplicaJob, place: str, begin: Callable[[str], object], *, number: int, start: int) -> TracedPair:
    plan = [
        PlannedReplica(
            name=f"trace-{number}-{side}",
            role="trace",
            source="every operation traced",
            variables={FOLDER: "{trace}", START: str(start)},
        )
        for side in (1, 2)
    ]
    done = tuple(run_more(job, plan, begin, place))
    first, second = (read_traces(trace_folder(one.folder)) for one in done)
    draws = not any(len(one.events.segments) for one in (*first.values(), *second.values()))
    segment = None if any(one.problem for one in done) else first_segment(first, second, draws=draws)
    event = None
    if segment is not None and segment.process in first and segment.process in second:
        event = first_event(segment, *(sequence(one[segment.process], draws=draws) for one in (first, second)))
    return TracedPair(done=done, first=first, second=second, draws=draws, segment=segment, event=event)


def trace_folder(replica: Path) -> Path:
    """Where the processes of a replica write their traces."""
    return replica / "trace"


def _problem(pair: TracedPair) -> str:
    """Why a pair cannot be compared; "" where it can."""
    failed = next((one.problem for one in pair.done if one.problem), "")
    if failed:
        return f"needs traced replicas that run: {failed}"
    if not pair.first or not pair.second:
        return "needs a command that starts Python, with the environment that it is given"
    broken = next(
        (str(t.facts["failed"]) for t in (*pair.first.values(), *pair.second.values()) if "failed" in t.facts), ""
    )
    if broken:
        return f"the trace itself failed: {broken}"
    if not any(len(t.events.segments) for t in pair.first.values()) and not any(
        len(t.draws.segments) for t in pair.first.values()
    ):
        return "needs operations of torch, steps of a Gymnasium environment, or draws from `random` or NumPy"
    return ""


def _conclude(job: ReplicaJob, pairs: Sequence[TracedPair], *, differ: bool) -> OperationTrace:
    last = pairs[-1]
    reason = _problem(last)
    events = [t.events.segments for t in last.first.values()]
    made = OperationTrace(
        equal=None,
        operations=int(sum(one["events"].sum() for one in events)),
        draws=int(sum(t.draws.segments["events"].sum() for t in last.first.values())),
        steps=max((int(one["step"].max()) for one in events if len(one)), default=0),
        processes=tuple(last.first),
        pairs=len(pairs),
        seconds=round(pairs[0].done[0].end.seconds, 3),
        reason=reason,
        notes=tuple(_notes(last, differ=differ)) if not reason else (),
    )
    if reason:
        return made
    if last.segment is None or (last.draws and not differ):  # a draw may decide nothing, such as a name
        return replace(made, equal=True)
    if last.event is None:
        return replace(made, equal=False, step=last.segment.step)
    name, script = last.segment.process, job.template.script(job.cwd)
    words = Describer(*(() if script is None else (script.resolve().parent,)), job.cwd)
    found = words.difference(last.event, last.first[name], last.second[name], draws=last.draws)
    return replace(made, equal=False, step=last.segment.step, difference=found)


def _notes(pair: TracedPair, *, differ: bool) -> Iterator[str]:
    """What the trace cannot see in this command."""
    facts = [t.facts for t in pair.first.values()]
    if any(one.get("compiled") for one in facts):
        yield (
            "torch.compile is used: what happens inside a compiled region is not traced, and its results count as "
            "input from outside; run the command with TORCH_COMPILE_DISABLE=1 to look into it"
        )
    outside = pair.event is None or pair.event.cause in ("input", "order")
    if outside and any(one.get("forks") for one in facts):
        yield "worker processes were started by a fork: what they compute is not traced, what they hand over is"
    if outside and any(one.get("threads") for one in facts):
        yield "other threads were started: what they compute is not traced, what they hand over is"
    if any(one.get("opaque_tensors") for one in facts):
        yield "some tensors have no memory that can be read, and only their operations are compared"
    if differ and pair.segment is None and not pair.draws:
        yield (
            "replicas without a trace differ, and traced ones agree: the trace slows operations down, which can hide a "
            "race, or the difference is in what is not traced"
        )
    if pair.segment is None:
        for name in sorted({*pair.first} & {*pair.second}):
            a, b = pair.first[name], pair.second[name]
            calls = [one for one in differing_seeds(a.seeds, b.seeds) if one.own]
            if calls:
                file, line, _ = calls[0].place
                yield f"{calls[0].what} gives another state in each run, at {Path(str(file)).name}:{line}"
            elif first_draw(a.draws, b.draws, 1 << 63) is not None:
                yield "draws from `random` or NumPy differ, and no operation does"
    if pair.draws and pair.segment is None and differ:
        yield "every draw from `random` and NumPy agrees: what differs is an order, or is computed from something else"
