"""Finds the first event in which two traces differ: the segment by its digest, then the event by its record."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.determinism.trace.reading import ProcessTrace, Row, TracedEvents, TraceNames
from rldk.rules.operations import OperationCause

OP, DRAW, ENV, BATCH = 0, 1, 2, 3
BACKWARD, CHANCE, FRESH, OPAQUE = 1, 2, 4, 8
FOLLOWING = 4_096  # events of a line that are searched for the same values in another order
_NAMED = ("what", "site", "module")
_VALUES = ("kind", "flags", "inputs", "arguments", "chance", "output")

Side = Literal[0, 1]


class FirstSegment(Struct, frozen=True, kw_only=True):
    """The first segment that differs, in one process. `start`: the number of events before it."""

    process: str
    place: int
    step: int
    start: int


class FirstEvent(Struct, frozen=True, kw_only=True):
    """The first event that differs. `index`: its place in the records of the segment. `moved`: the same values follow
    in another order. `ended`: which side has no such event, None where both have one."""

    segment: FirstSegment
    index: int
    cause: OperationCause
    moved: bool = False
    ended: Side | None = None


def sequence(trace: ProcessTrace, *, draws: bool) -> TracedEvents:
    """The events that are compared: operations and what comes from outside, or draws of chance."""
    return trace.draws if draws else trace.events


def first_segment(
    first: Mapping[str, ProcessTrace], second: Mapping[str, ProcessTrace], *, draws: bool = False
) -> FirstSegment | None:
    """The earliest segment in which any process differs: by optimiser step, then by the events before it. A process
    that only one replica has differs in its first segment. `draws`: compare the draws of chance, where nothing else was
    traced."""
    found = []
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            found.append(FirstSegment(process=name, place=0, step=0, start=0))
            continue
        sides = [sequence(one[name], draws=draws) for one in (first, second)]
        place = _segment(*sides)
        if place is not None:
            segments = max((one.segments for one in sides), key=len)
            row = segments[place]
            found.append(FirstSegment(process=name, place=place, step=int(row["step"]), start=int(row["start"])))
    earliest = [one for one in found if one.step == min(other.step for other in found)]
    if len(earliest) < 2:
        return earliest[0] if earliest else None
    return min(earliest, key=lambda one: (_before(one, first, second, draws=draws), one.process))


def _before(
    segment: FirstSegment, first: Mapping[str, ProcessTrace], second: Mapping[str, ProcessTrace], *, draws: bool
) -> float:
    """How many events of its process agree. Ranks do much the same but have no common clock, and what differs in one
    reaches the others: of those that differ at the same step, the one whose events agree for the shortest is the
    first. Infinite where that was not written."""
    name = segment.process
    if name not in first or name not in second:
        return 0
    event = first_event(segment, *(sequence(one[name], draws=draws) for one in (first, second)))
    return math.inf if event is None else segment.start + event.index


def _segment(a: TracedEvents, b: TracedEvents) -> int | None:
    both = min(len(a.segments), len(b.segments))
    names = ["step", "start", "events", "digest"]
    unequal = np.zeros(both, dtype=bool)
    for name in names:
        unequal |= a.segments[name][:both] != b.segments[name][:both]
    if unequal.any():
        return int(np.argmax(unequal))
    return None if len(a.segments) == len(b.segments) else both


def first_event(segment: FirstSegment, a: TracedEvents, b: TracedEvents) -> FirstEvent | None:
    """The first event of the segment that differs; None where the records of that event were not written."""
    rows = [_rows(one, segment.place) for one in (a, b)]
    both = min(map(len, rows))
    unequal = _unequal(rows[0][:both], rows[1][:both], (a.names, b.names))
    if not unequal.any():
        whole = [segment.place >= len(t.segments) or _is_whole(t, segment.place) for t in (a, b)]
        if len(rows[0]) == len(rows[1]) or not all(whole):
            return None
        ended: Side = 0 if len(rows[0]) < len(rows[1]) else 1
        return FirstEvent(segment=segment, index=both, cause="order", ended=ended)
    index = int(np.argmax(unequal))
    moved = _is_moved(rows[0][index], rows[1][index]) or _moved(rows[0][index:], rows[1][index:], (a.names, b.names))
    cause = _cause(rows[0][index], rows[1][index], (a.names, b.names), moved=moved)
    return FirstEvent(segment=segment, index=index, cause=cause, moved=moved)


def _is_whole(events: TracedEvents, place: int) -> bool:
    row = events.segments[place]
    return bool(row["records"] == row["events"])


def _rows(events: TracedEvents, place: int) -> Row:
    return events.of_segment(place) if place < len(events.segments) else events.records[:0]


def _unequal(a: Row, b: Row, names: tuple[TraceNames, TraceNames]) -> NDArray[np.bool_]:
    made = np.zeros(len(a), dtype=bool)
    for name in _VALUES:
        made |= a[name] != b[name]
    for name in _NAMED:
        made |= _common(a[name], b[name], names, name)
    return made


def _common(
    a: NDArray[np.uint64], b: NDArray[np.uint64], names: tuple[TraceNames, TraceNames], kind: str
) -> NDArray[np.bool_]:
    """Where two columns of numbers stand for other words."""
    pairs, inverse = np.unique(np.stack([a, b]).astype(np.int64), axis=1, return_inverse=True)
    differs = [names[0].words(kind, int(x)) != names[1].words(kind, int(y)) for x, y in pairs.T]
    return np.asarray(differs, dtype=bool)[inverse.reshape(-1)]


def _cause(a: Row, b: Row, names: tuple[TraceNames, TraceNames], *, moved: bool) -> OperationCause:
    if moved or a["kind"] != b["kind"]:
        return "order"
    if any(names[0].words(k, int(a[k])) != names[1].words(k, int(b[k])) for k in _NAMED):
        return "order"
    if a["inputs"] != b["inputs"] or a["arguments"] != b["arguments"]:
        return "input"
    if a["chance"] != b["chance"] and a["kind"] == OP:
        return "chance"
    if a["kind"] == DRAW:
        return "chance"
    if a["kind"] != OP:
        return "environment" if a["kind"] == ENV else "input"
    if (a["flags"] | b["flags"]) & FRESH:
        return "memory"
    return "kernel"


def _is_moved(a: Row, b: Row) -> bool:
    """Whether the same tensors, or the same elements of one, go in in another order."""
    return bool(a["bag"] and a["bag"] == b["bag"] and a["inputs"] != b["inputs"])


def _moved(a: Row, b: Row, names: tuple[TraceNames, TraceNames]) -> bool:
    """Whether what comes from outside at this line follows in both, in another order: at least two values, all of them
    in both."""
    kinds = []
    for rows, own in zip((a, b), names, strict=True):
        same = rows[:FOLLOWING][rows["site"][:FOLLOWING] == rows["site"][0]]
        wanted = own.words("what", int(rows["what"][0]))
        here = [r for r in same if own.words("what", int(r["what"])) == wanted and r["kind"] == rows["kind"][0]]
        kinds.append([(int(r["inputs"]), int(r["arguments"])) for r in here])
    first, second = kinds
    return len(set(first)) > 1 and first != second and Counter(first) == Counter(second)
