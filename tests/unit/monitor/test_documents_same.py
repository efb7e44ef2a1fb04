"""Whether a document that was written anew still begins with the rows that were given."""

from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.core.table import MetricTable, TableBuilder
from rldk.monitor.documents import _behind, _same_column
from rldk.testing import run_of


def _table(**columns: list[Any]) -> MetricTable:
    return run_of(columns).metrics


@each_of(
    ("before", "now", "rows", "same"),
    [
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, 2, True),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}, 2, False),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}, 1, True),
        ({"a": [1.0, None]}, {"a": [1.0, None]}, 2, True),
        ({"a": [1.0, None]}, {"a": [1.0, math.nan]}, 2, False),
        ({"a": [1.0, math.nan]}, {"a": [1.0, math.nan]}, 2, True),
        ({"b": [1.0, 2.0]}, {"b": [1.0, 2.0], "a": [None, 3.0]}, 1, True),
        ({"b": [1.0, 2.0]}, {"b": [1.0, 2.0], "a": [None, 3.0]}, 2, False),
        ({"b": [1.0, 2.0], "a": [None, 3.0]}, {"b": [1.0, 2.0]}, 1, True),
        ({"b": [1.0, 2.0], "a": [math.nan, 3.0]}, {"b": [1.0, 2.0]}, 1, False),
    ],
)
def test_a_column_is_the_same_where_it_says_the_same(
    before: dict[str, Any], now: dict[str, Any], rows: int, same: bool
) -> None:
    assert _same_column(_table(**before), _table(**now), "a", rows) is same


def test_rows_behind_a_place_keep_where_the_source_said_nan() -> None:
    builder = TableBuilder()
    for step in range(6):
        builder.add(step, {"kl": math.nan if step % 2 else 0.1})
    behind = _behind(builder.build(), 3)
    assert (behind.step.tolist(), behind.stated_nan["kl"].tolist()) == ([3, 4, 5], [0, 2])
