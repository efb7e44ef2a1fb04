"""Scalar events put together to rows, many at a time or one by one."""

from __future__ import annotations

from itertools import chain
from typing import Any

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.rows import Assembler, Events, RowList

Event = tuple[int, str, str, float | None]  # step, phase, name, value


def assembled(events: list[Event], pieces: list[int]) -> list[tuple[Any, ...]]:
    """The rows of the events, given in pieces of these sizes and then the rest."""
    sink = RowList()
    assembler = Assembler(sink, counted=False)
    for size in [*pieces, len(events)]:
        steps, phases, names, values = ([e[i] for e in events[:size]] for i in range(4))
        assembler.events(Events(steps, [1.0] * len(steps), phases, names, values))  # type: ignore[arg-type]
        events = events[size:]
    assembler.finish()
    return [(row.step, row.phase, row.segment, dict(row.values)) for row in sink.take()]


def usual(steps: range, *names: str) -> list[Event]:
    return [(step, "train", name, float(step)) for step in steps for name in names]


UNLIKE: dict[str, list[Event]] = {
    "another name": [(9, "train", "kl", 1.0), (9, "train", "entropy", 2.0)],
    "one name less": [(9, "train", "loss", 1.0)],
    "another order": [(9, "train", "kl", 1.0), (9, "train", "loss", 2.0)],
    "another phase": [(9, "eval", "loss", 1.0), (9, "eval", "kl", 2.0)],
    "two steps": [(9, "train", "loss", 1.0), (10, "train", "kl", 2.0)],
    "a missing value": [(9, "train", "loss", None), (9, "train", "kl", 2.0)],
}


@each_of("what", UNLIKE)
def test_a_row_unlike_those_around_it_keeps_its_own_names_and_values(what: str) -> None:
    events = [*usual(range(9), "loss", "kl"), *UNLIKE[what], *usual(range(11, 30), "loss", "kl")]
    assert assembled(events, []) == assembled(events, [1] * len(events))
    unlike = [row for row in assembled(events, []) if row[0] in (9, 10)]
    assert {n: v for *_, values in unlike for n, v in values.items()} == {n: v for *_, n, v in UNLIKE[what] if v}


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["train", "train", "train", "eval"]), st.integers(1, 3)),
        max_size=40,
    ),
    st.lists(st.integers(1, 30), max_size=8),
)
def test_events_at_once_make_the_rows_of_events_one_by_one(rows: list[tuple[int, str, int]], pieces: list[int]) -> None:
    steps = [sum(stride for stride, *_ in rows[: i + 1]) for i in range(len(rows))]
    events = [*chain.from_iterable(
        [(step, phase, "abc"[k], float(i)) for k in range(width)]
        for i, (step, (_, phase, width)) in enumerate(zip(steps, rows, strict=True))
    )]  # fmt: skip
    assert assembled(events, pieces) == assembled(events, [1] * len(events))  # type: ignore[arg-type]
