"""Traces are compared event by event: the first that differs is found, with its cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.determinism.trace.comparing import ENV, FRESH, OP, first_event, first_segment
from rldk.determinism.trace.reading import RECORD, SEGMENT, ProcessTrace, TracedEvents, TraceNames

NAMES = TraceNames(ops={1: "aten.mul.Tensor", 2: "aten.add.Tensor"}, sites={1: (("a.py", 3, "f"), ("a.py", 3, "f"))})
Event = dict[str, int]
EVENT: Event = {"kind": OP, "what": 1, "site": 1, "inputs": 5, "arguments": 6, "output": 7}


def _trace(events: list[Event], *, written: int | None = None) -> ProcessTrace:
    records = np.zeros(len(events), dtype=RECORD)
    for n, event in enumerate(events):
        records[n]["number"] = n
        for name, value in event.items():
            records[n][name] = value
    segments = np.zeros(1, dtype=SEGMENT)
    kept = len(events) if written is None else written
    segments[0] = (0, 0, len(events), hash(records.tobytes()) & ((1 << 63) - 1), 0, kept)
    made = TracedEvents(segments=segments, records=records[:kept], names=NAMES)
    return ProcessTrace(name="main-1", events=made, draws=made, seeds=(), facts={})


def _first(a: list[Event], b: list[Event]) -> Any:
    first, second = _trace(a), _trace(b)
    segment = first_segment({"main-1": first}, {"main-1": second})
    return None if segment is None else first_event(segment, first.events, second.events)


CAUSES: dict[str, tuple[Event, Event]] = {
    "input": ({"inputs": 1}, {"inputs": 2}),
    "chance": ({"chance": 1}, {"chance": 2}),
    "kernel": ({"output": 1}, {"output": 2}),
    "order": ({"what": 1}, {"what": 2}),
    "memory": ({"output": 1, "flags": FRESH}, {"output": 2, "flags": FRESH}),
    "environment": ({"kind": ENV, "output": 1}, {"kind": ENV, "output": 2}),
}


@pytest.mark.parametrize("cause", CAUSES)
@given(before=st.integers(0, 20), after=st.integers(0, 20))
def test_the_cause_is_what_differs_in_the_first_event(cause: str, before: int, after: int) -> None:
    one, other = ({**EVENT, **change} for change in CAUSES[cause])
    found = _first([EVENT] * before + [one] + [EVENT] * after, [EVENT] * before + [other] + [EVENT] * after)
    assert (found.cause, found.index) == (cause, before)


@given(st.permutations(range(6)))
def test_the_same_inputs_in_another_order_are_an_order(order: list[int]) -> None:
    a = [{**EVENT, "inputs": n + 1, "output": n + 1} for n in range(6)]
    found = _first(a, [a[n] for n in order])
    assert found is None if order == sorted(order) else (found.cause == "order" and found.moved)


def test_the_same_elements_in_another_order_are_an_order() -> None:
    found = _first([{**EVENT, "inputs": 1, "bag": 9}], [{**EVENT, "inputs": 2, "bag": 9}])
    assert (found.cause, found.moved) == ("order", True)


def test_of_ranks_that_differ_at_one_step_the_one_that_differs_first_is_named() -> None:
    """Rank 1 reads other data; rank 0 gets its gradients later in the same step."""
    other = {**EVENT, "inputs": 9}
    runs = [
        {"rank-0-1": _trace([EVENT] * 5 + [a]), "rank-1-1": _trace([EVENT] * 2 + [b] + [EVENT] * 3)}
        for a, b in ((EVENT, EVENT), (other, other))
    ]
    found = first_segment(*runs)
    assert found is not None
    assert found.process == "rank-1-1"


def test_a_replica_that_ends_earlier_has_another_order() -> None:
    found = _first([EVENT] * 4, [EVENT] * 3)
    assert (found.cause, found.index, found.ended) == ("order", 3, 1)


def test_an_event_that_was_not_written_is_not_guessed() -> None:
    a, b = (_trace([EVENT] * 5 + [{**EVENT, "output": n}], written=3) for n in (1, 2))
    segment = first_segment({"main-1": a}, {"main-1": b})
    assert segment is not None
    assert first_event(segment, a.events, b.events) is None
