"""Joins the rows of one step where their metrics do not overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.core.columns import FewValues, Stored, columns_between, columns_of, stored_columns
from rldk.core.rows import OPENING_CELLS, OPENING_ROWS
from rldk.core.table import MetricTable

Rows = NDArray[np.int64]


def merge_rows(table: MetricTable, *, consume: bool = False) -> MetricTable:
    """The table with consecutive rows of one step, phase and segment joined while no metric occurs twice.

    Some trainers write a step as several rows, one for each group of metrics (prime-rl: losses, optimiser, timings). A
    joined row keeps the time of its first row. The table is returned unchanged when the opening has nothing to join: a
    live reader must know by then whether to wait for more of a step (`core.rows.Joiner` does the same). `consume`: when
    rows are joined, `table` loses its columns, so that no more than one of them is in memory twice."""
    same = np.zeros(len(table), dtype=np.bool_)
    same[1:] = table.step[1:] == table.step[:-1]
    same[1:] &= (table.phase[1:] == table.phase[:-1]) & (table.segment[1:] == table.segment[:-1])
    opening = _opening(table)
    if not same[:opening].any():
        return table
    starts = _starts(table, same)
    if starts[:opening].all():
        return table
    target: Rows = np.cumsum(starts, dtype=np.int64) - 1
    stored, joined = stored_columns(table.columns), {}
    for name in list(stored):
        joined[name] = _joined(table, name, target)
        if consume:
            del stored[name]
    return MetricTable(
        step=table.step[starts],
        columns=columns_of(joined, int(target[-1]) + 1),
        phase=table.phase[starts],
        segment=table.segment[starts],
        time=table.time[starts],
        stated_nan={name: target[rows] for name, rows in table.stated_nan.items()},
    )


def _opening(table: MetricTable) -> int:
    """The number of rows in the opening, as `core.rows.opening_length` counts them."""
    cells = np.zeros(min(len(table), OPENING_ROWS), dtype=np.int64)
    for name, column in columns_between(table.columns, 0, len(cells)).items():
        present = ~np.isnan(column)
        stated = table.stated_nan.get(name, np.empty(0, dtype=np.int64))
        present[stated[stated < len(cells)]] = True
        cells += present
    return int(np.searchsorted(np.cumsum(cells), OPENING_CELLS)) + 1


def _starts(table: MetricTable, same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows begin a joined row, shape (n,). Only rows that repeat a step are checked one by one."""
    starts = ~same
    in_run = same.copy()
    in_run[:-1] |= same[1:]
    rows = np.flatnonzero(in_run)
    bits = np.zeros((len(rows), len(table.columns) // 8 + 1), dtype=np.uint8)
    for place, name in enumerate(table.columns):
        bits[:, place // 8] |= _present(table, name)[rows].view(np.uint8) << np.uint8(place % 8)
    taken = 0
    for row, present in zip(rows.tolist(), map(bytes, bits), strict=True):
        metrics = int.from_bytes(present, "big")
        if starts[row] or taken & metrics:
            starts[row] = True
            taken = metrics
        else:
            taken |= metrics
    return starts


def _present(table: MetricTable, name: str) -> NDArray[np.bool_]:
    present: NDArray[np.bool_] = ~np.isnan(table.columns[name])
    present[table.stated_nan.get(name, [])] = True
    return present


def _joined(table: MetricTable, name: str, target: Rows) -> Stored:
    values = stored_columns(table.columns)[name]
    if isinstance(values, FewValues):
        return values.moved(target)
    present = _present(table, name)
    column = np.full(int(target[-1]) + 1, np.nan)
    column[target[present]] = values[present]
    return column
