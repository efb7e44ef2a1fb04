"""How much of a log is its opening: the same for a table, for rows, and for rows that come one by one."""

from __future__ import annotations

import pytest
from examples import every

from rldk.adapters.naming.first_rows import Opening, opening_of
from rldk.core.rows import OPENING_CELLS, OPENING_ROWS, opening_length
from rldk.core.table import Row, TableBuilder


def rows(count: int, width: int) -> list[Row]:
    return [Row(step=i, values={f"m{k}": 1.0 for k in range(width)}) for i in range(count)]


@pytest.mark.parametrize(
    ("width", "expected"),
    every(
        2,
        [
            (1, OPENING_ROWS),
            (OPENING_CELLS // 10, 10),  # the tenth row reaches the limit
            (OPENING_CELLS // 10 + 1, 10),
            (OPENING_CELLS // 10 - 1, 11),
        ],
    ),
)
def test_the_opening_ends_with_the_row_that_reaches_a_limit(width: int, expected: int) -> None:
    many = rows(expected + 1, width)
    assert opening_length(many) == len(Opening(many).rows) == expected
    assert opening_length(many[:expected]) == expected
    assert opening_length(many[: expected - 1]) is None
    assert not Opening(many[: expected - 1]).full
    builder = TableBuilder()
    for row in many:
        builder.add(row.step, row.values)
    assert len(opening_of(builder.build()).rows) == expected


def test_what_is_covered_is_counted_by_key() -> None:
    opening = Opening([*rows(3, 1), *rows(2, 2)])
    assert opening.cover == {"m0": 5, "m1": 2}
    assert opening.keys == {"m0", "m1"}
