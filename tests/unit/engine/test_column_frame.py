"""A rule that sees a block as columns gets what it would get row by row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.engine.binding import BindingFrame
from rldk.engine.column import Column
from rldk.engine.column_frame import ColumnFrame
from rldk.engine.frame import MAKERS
from rldk.engine.memory import Memory
from rldk.rules.rule import Context, Frame


def taken(*blocks: dict[str, list[float]], asked: tuple[Any, ...] = ()) -> tuple[Memory, ColumnFrame]:
    """The memory after these blocks of rows, and a frame that shows the last of them."""
    memory = Memory(MAKERS)
    for key in asked:
        memory.feature(key)
    frame = ColumnFrame(memory, Context())
    for i, block in enumerate(blocks):
        height = len(next(iter(block.values())))
        memory.take(block, height, finite=True)
        frame.show(block)
        frame.begin(range(height))
        if i + 1 < len(blocks):
            memory.end()
    return memory, frame


def numbers(value: object, height: int) -> list[float]:
    return value.values.tolist() if isinstance(value, Column) else [float(value)] * height  # type: ignore[arg-type]


@each_of("name", ["a", "b", "late", "never"])
@each_of("measure", ["gap", "coverage"])
def test_presence_is_that_of_each_row(measure: str, name: str) -> None:
    ones = [1.0, 2.0, 3.0, 4.0]
    memory, frame = taken({"a": ones, "b": ones}, {"b": ones, "late": ones}, {"a": ones, "late": ones})
    seen: list[object] = []
    frame.follow(lambda f: seen.append(getattr(f, measure)(name)), "")
    expected = []
    for row in range(4):
        memory.go(row)
        expected.append(getattr(memory, measure)(name))
    assert str(numbers(seen[0], 4)) == str(expected)


def _unused(f: Frame) -> None:
    f.median("a", 20)
    if f["a"] > 0.7:
        f.noise("a", 10)


@pytest.mark.parametrize(("rows", "ready"), [(19, False), (20, True)])
def test_what_a_rule_asks_for_and_never_uses_still_decides_whether_it_could_look(rows: int, ready: bool) -> None:
    values = np.linspace(0.1, 0.9, rows).tolist()
    _, frame = taken({"a": values}, asked=(("median", "a", 20, 0), ("noise", "a", 10, 0)))
    cases = frame.follow(_unused, "")
    assert (cases.ready, bool(cases.asked.any())) == (ready, False)


def test_features_of_a_first_block_are_those_of_its_rows() -> None:
    values = [math.sin(i) for i in range(60)]

    def body(f: Frame) -> None:
        seen.extend((f.median("a", 5), f.gain("a", 20), f.leap("a"), f.drawdown("a", 10, 6, clear=2.0), f.count("a")))

    seen: list[object] = []
    memory, frame = taken({"a": values})
    BindingFrame(memory, Context()).bind(body, "")
    memory, frame = taken({"a": values}, asked=tuple(memory.items))
    seen.clear()
    frame.follow(body, "")
    for key, column in zip(memory.items, seen, strict=True):
        feature, expected = MAKERS[key[0]](*key[2:]), []
        for x in values:
            feature.update(x)
            expected.append(feature.value)
        assert str(numbers(column, 60)) == str(expected)
