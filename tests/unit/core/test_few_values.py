"""A column that is stored as few values is the column that would be stored whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.naming.first_rows import opening_of
from rldk.core import columns as module
from rldk.core import table as builders
from rldk.core.columns import FewValues, columns_between, stored_columns
from rldk.core.jsonl import decode
from rldk.core.merge import merge_rows
from rldk.core.table import MetricTable, TableBuilder
from rldk.diagnosis import diagnose, runs_in

CELL = st.sampled_from([None, None, None, None, None, nan, 0.5, -0.0, 7.0])
ROW = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([nan, 0.5, -0.0, 7.0]), max_size=3)
BLOCK = st.integers(1, 5).flatmap(
    lambda n: st.dictionaries(st.sampled_from("abcd"), st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=3)
)
PARTS = st.lists(st.one_of(ROW, BLOCK), min_size=1, max_size=12)


@contextmanager
def few_from(rows: int, seldom: int) -> Iterator[None]:
    """Columns that begin after `rows` rows begin as few values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builders, "LONG", rows)
        patch.setattr(module, "SELDOM", seldom)
        yield


def _built(parts: list[dict[str, Any]], repeats: int) -> MetricTable:
    builder = TableBuilder()
    for part in parts:
        step = len(builder) // repeats
        lists = [cells for cells in part.values() if isinstance(cells, list)]
        if not lists:
            builder.add(step, part)
            continue
        n = len(lists[0])
        stated = {k: [i for i, x in enumerate(v) if x is not None and x != x and i % 2] for k, v in part.items()}
        builder.extend([step] * n, part, phases=["train"] * n, times=[nan] * n, stated=stated)
    return builder.build()


def _said(table: MetricTable) -> str:
    cells = {name: column.tolist() for name, column in table.columns.items()}
    stated = {name: rows.tolist() for name, rows in table.stated_nan.items()}
    return repr((table.step.tolist(), cells, stated))


VIEWS: dict[str, Callable[[MetricTable], object]] = {
    "whole": _said,
    "rows": lambda table: [(row.step, sorted(row.values.items())) for row in table.rows()],
    "selected": lambda table: _said(table.select(["d", "a", "x"])),
    "between": lambda table: {n: c.tolist() for n, c in columns_between(table.columns, 1, len(table)).items()},
    "merged": lambda table: _said(merge_rows(table)),
    "opening": lambda table: [(row.step, sorted(row.values.items())) for row in opening_of(table).rows],
    "consumed": lambda table: _said(merge_rows(table, consume=True)),
}


@pytest.mark.parametrize("view", VIEWS)
@settings(deadline=None, max_examples=at_most(25))
@given(parts=PARTS, repeats=st.integers(1, 3), long=st.integers(0, 3), seldom=st.integers(1, 9))
def test_few_values_are_a_whole_column(
    view: str, parts: list[dict[str, Any]], repeats: int, long: int, seldom: int
) -> None:
    plain = VIEWS[view](_built(parts, repeats))
    with few_from(long, seldom):
        assert repr(VIEWS[view](_built(parts, repeats))) == repr(plain)


def test_a_column_is_few_values_until_it_has_more() -> None:
    builder = TableBuilder()
    n = module.LONG
    for start in range(0, 4 * n, n):
        late = {"late": [1.0, *[None] * (n - 1)]} if start else {}
        builder.extend(range(n), {"loss": [0.5] * n, **late}, phases=["train"] * n, times=[nan] * n, stated={})
    builder.extend(range(n), {"often": [1.0] * n}, phases=["train"] * n, times=[nan] * n, stated={})
    table = builder.build()
    kinds = {name: type(column) for name, column in stored_columns(table.columns).items()}
    assert kinds == {"loss": np.ndarray, "late": FewValues, "often": np.ndarray}
    assert np.flatnonzero(table.columns["late"] == 1.0).tolist() == [n, 2 * n, 3 * n]


def _log(path: Path) -> None:
    """900 rows of the usual metrics. Late ones come at few rows, one of them under a name that is known."""
    lines = []
    for i in range(900):
        odd = ', "late/own": NaN, "eval/loss": 0.5' if i % 60 == 59 and i > 300 else ""
        odd += ', "grad_norm": 1e9, "deep": {"er": 1}' if i == 600 else ""
        lines.append(f'{{"step": {i}, "kl": {0.1 + i % 7 / 100}, "reward": {i % 11 / 10}{odd}}}')
    path.write_text("\n".join([*lines, ""]))


def test_a_run_and_its_report_are_the_same(tmp_path: Path) -> None:
    _log(tmp_path / "log.jsonl")
    said = []
    for long in (1 << 40, 200):
        with few_from(long, 8):
            table = decode(tmp_path / "log.jsonl").table
            few = sum(isinstance(column, FewValues) for column in stored_columns(table.columns).values())
            (run,) = runs_in(str(tmp_path / "log.jsonl"))
            report = diagnose(str(tmp_path / "log.jsonl"))
        said.append((_said(table), _said(run.metrics), repr(report)))
        assert few == (0 if long > 200 else 4)
    assert said[0] == said[1]
