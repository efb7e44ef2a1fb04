"""Turns a finished run's columns into blocks. They are the same as those that `blocks` makes of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rldk.core.columns import columns_between
from rldk.core.table import PHASES, MetricTable, Row
from rldk.engine.blocks import Block, Columns, PhaseBlock, height, single, whole

Column = NDArray[np.float64]
Mask = NDArray[np.bool_]
CHUNK_ROWS, CHUNK_CELLS = 1 << 16, 1 << 23  # processed together, so that memory does not grow with the run


def table_blocks(table: MetricTable) -> Iterator[PhaseBlock]:
    """Yields the blocks of the table, in order."""
    rows = max(1, min(CHUNK_ROWS, CHUNK_CELLS // (len(table.columns) + 1)))
    for start in range(0, len(table), rows):
        yield from _blocks(table, start, min(start + rows, len(table)))


def _blocks(table: MetricTable, start: int, stop: int) -> Iterator[PhaseBlock]:
    """Yields the blocks of rows start..stop-1."""
    columns = columns_between(table.columns, start, stop)
    present = {name: ~np.isnan(column) for name, column in columns.items()}
    for name, stated in table.stated_nan.items():
        if name in present:
            present[name][stated[(stated >= start) & (stated < stop)] - start] = True
    phase, segment = table.phase[start:stop], table.segment[start:stop]
    for first, last in pairwise(_edges(phase, segment, columns, present)):
        names = [name for name in columns if present[name][first]]
        most = height(len(names))
        for at in range(first, last, most):
            to = min(at + most, last)
            parts = {name: columns[name][at:to] for name in names}
            cells = {name: part.tolist() for name, part in parts.items()}
            steps, times = (column[start + at : start + to].tolist() for column in (table.step, table.time))
            if to - at == 1:
                values = {name: x for name, (x,) in cells.items()}
                row = Row(step=steps[0], values=values, segment=int(segment[at]), time=times[0])
                yield PhaseBlock((), PHASES[phase[at]], single(row))
                continue
            block = Block(Columns(cells, _extremes(parts)), steps, times, int(segment[at]), finite=True)
            yield from whole(PhaseBlock((), PHASES[phase[at]], block))


def _extremes(parts: Mapping[str, Column]) -> dict[str, tuple[float, float]]:
    """The smallest and the largest values. A metric is left out where one is 0: its sign may differ with numpy."""
    found = {name: (float(part.min()), float(part.max())) for name, part in parts.items()}
    return {name: (low, high) for name, (low, high) in found.items() if low and high}


def _edges(
    phase: NDArray[np.uint8], segment: NDArray[np.int32], columns: dict[str, Column], present: dict[str, Mask]
) -> list[int]:
    """Where blocks begin, and the end. A block begins at another phase or segment, at other metrics, and around rows
    that are not finite."""
    n = len(phase)
    begins = np.zeros(n + 1, dtype=np.bool_)
    begins[[0, n]] = True
    begins[1:n] |= (phase[1:] != phase[:-1]) | (segment[1:] != segment[:-1])
    total = np.zeros(n)
    for name, column in columns.items():
        there = present[name]
        begins[1:n] |= there[1:] != there[:-1]
        with np.errstate(all="ignore"):
            total += np.where(there, column, 0.0)
    odd = ~np.isfinite(total)
    begins[:n] |= odd
    begins[1:] |= odd
    found: list[int] = np.flatnonzero(begins).tolist()
    return found
