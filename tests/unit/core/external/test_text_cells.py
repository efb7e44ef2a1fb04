"""Columns that stand in a file give back what was put in, value by value."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.external import text_cells
from rldk.core.external.text_cells import GatheredColumns, Mapped, StoredCells
from rldk.evals import reading, run
from rldk.evals.suites import COMPREHENSIVE_SUITE

SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.just("\ud800"), st.binary(),
    st.datetimes(), st.just(np.float64(0.5)),
)  # fmt: skip
VALUE = st.recursive(
    SCALAR, lambda inner: st.one_of(st.lists(inner), st.tuples(inner), st.dictionaries(st.text(), inner)), max_leaves=5
)


@given(values=st.lists(VALUE, max_size=20), block=st.integers(1, 5), size=st.sampled_from([1, 60, 1 << 20]))
def test_every_value_comes_back_as_it_was(values: list[Any], block: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_cells, "BLOCK", block)
        patch.setattr(text_cells, "BLOCK_BYTES", size)
        cells = StoredCells(values)
        wanted = list(map(repr, values))
        assert list(map(repr, cells)) == wanted
        assert [repr(cells[row]) for row in range(len(cells))] == wanted
        assert all(list(map(repr, cells[a:])) == wanted[a:] for a in range(len(values)))
        assert all(list(map(repr, cells[1:b])) == wanted[1:b] for b in range(len(values)))


def test_values_are_added_while_others_are_read() -> None:
    cells = StoredCells()
    for row in range(300):
        cells.append(f"text {row}")
        assert cells[row] == f"text {row}"
    assert cells[::-1][:2] == ["text 299", "text 298"]
    assert list(cells) == [f"text {row}" for row in range(300)]


def test_few_long_values_wait_in_memory() -> None:
    cells = StoredCells("x" * 400_000 for _ in range(20))
    assert len(cells._waiting) < 3
    assert sum(map(len, cells)) == 8_000_000


def test_a_stored_column_is_a_sequence() -> None:
    cells = StoredCells([f"text {i}" for i in range(3000)])
    cells.append(None)
    assert (len(cells), cells[0], cells[-1], cells[1023:1025]) == (3001, "text 0", None, ["text 1023", "text 1024"])
    assert "text 2999" in cells
    assert Mapped(cells, str)[2999:] == ["text 2999", "None"]
    with pytest.raises(IndexError):
        cells[3001]


def test_only_a_large_column_is_stored() -> None:
    columns = GatheredColumns(["long", "number"], large=1000)
    for row in range(100):
        columns.append({"long": {"content": f"text {row}"}, "number": row})
    assert isinstance(columns.cells["long"], StoredCells)
    assert columns.cells["number"] == list(range(100))
    assert columns.cells["long"][99] == {"content": "text 99"}


def test_a_result_does_not_depend_on_where_the_texts_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"prompt": f"question {i // 2}" * 5, "response": f"answer {i}" * 9, "gold": f"answer {i % 7}" * 9,
         "correct": i % 2, "category": "ab"[i % 3 == 0], "date": datetime.date(2026, 1, 1)}
        for i in range(300)
    ]  # fmt: skip
    train = [rows[5]["prompt"]]
    held = run(rows, COMPREHENSIVE_SUITE, train=train)
    monkeypatch.setattr(reading, "GatheredColumns", lambda names: GatheredColumns(names, large=500))
    assert isinstance(reading.read_table(rows).cells["prompt"], StoredCells)
    stored = run(rows, COMPREHENSIVE_SUITE, train=train)
    assert stored.raw_results == held.raw_results
    assert stored.verdict == held.verdict
