from __future__ import annotations

import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rldk.core.merge import merge_rows
from rldk.core.table import TableBuilder

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.dictionaries(st.sampled_from("abcdefghij"), st.floats(0, 9) | st.just(math.nan), max_size=4),
        st.sampled_from(["train", "eval"]),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(ROWS)
@example([(0, {}, "train")] * 3)
def test_rows_join_exactly_while_no_metric_repeats(rows: list) -> None:
    builder, expected = TableBuilder(), list[Any]()
    for step, values, phase in rows:
        builder.add(step, values, phase=phase)
        joins = expected and expected[-1][:2] == (step, phase) and not set(expected[-1][2]) & set(values)
        expected[-1:] = (
            [(step, phase, {**expected[-1][2], **values})] if joins else [*expected[-1:], (step, phase, values)]
        )
    found = [(row.step, row.phase, row.values) for row in merge_rows(builder.build()).rows()]
    assert repr([(s, p, sorted(v.items())) for s, p, v in found]) == repr(
        [(s, p, sorted(v.items())) for s, p, v in expected]
    )
