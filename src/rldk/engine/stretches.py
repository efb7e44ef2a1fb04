"""Cuts a finished run into long stretches of rows to look at together, phase by phase.

Rows of one phase stay together although rows of another one stand between them, and although some of them lack some
metrics or have values that are not finite. A stretch ends where the run was restarted, around a row whose sum
overflows, and before a row with a metric that is new: what rules know of a metric is then known on all rows of a
stretch or on none."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rldk.core.columns import columns_between
from rldk.core.table import PHASES, MetricTable, Phase, Row, TableBuilder
from rldk.engine.blocks import Block, Columns, height, single
from rldk.engine.derive import DERIVED, SOURCES, derive_columns
from rldk.engine.ragged import Ragged
from rldk.engine.table_blocks import CHUNK_CELLS, CHUNK_ROWS

Column = NDArray[np.float64]
Mask = NDArray[np.bool_]
BESIDE = ("train_reward_mean", "row_interval_s")  # columns that the engine adds, in this order
_MADE = frozenset(("step", "segment", *DERIVED, *BESIDE))


class Stretch(NamedTuple):
    """Rows of one phase. The columns of the block have NaN on rows that lack the metric; `ragged` has these columns."""

    block: Block
    ragged: Mapping[str, Ragged]

    @property
    def stated(self) -> Mapping[str, Sequence[float]]:
        """What the rows have by themselves, without gaps."""
        own = {name: column for name, column in self.block.columns.items() if name not in BESIDE}
        if type(self.block.columns) is not Columns:
            return own
        compact = {name: self.ragged[name].values if name in self.ragged else column for name, column in own.items()}
        return Columns(compact, self.block.columns.known_extremes)


def chunks(table: MetricTable) -> Iterator[Chunk] | None:
    """The rows of the table, so many at once that memory does not grow with the run. None for a table with a column
    that the engine adds itself."""
    if not _MADE.isdisjoint(table.columns):
        return None
    rows = max(1, min(CHUNK_ROWS, CHUNK_CELLS // (len(table.columns) + 1)))
    return (Chunk(table, start, min(start + rows, len(table))) for start in range(0, len(table), rows))


def chunk_of(rows: Sequence[Row]) -> Chunk | None:
    """The same of rows. None where they have a metric that the engine adds itself, and where a step is too large for a
    table."""
    builder = TableBuilder()
    try:
        for row in rows:
            builder.add(row.step, row.values, phase=row.phase, segment=row.segment, time=row.time)
    except OverflowError:
        return None
    table = builder.build()
    return Chunk(table, 0, len(rows), rows) if _MADE.isdisjoint(table.columns) else None


class Chunk:
    """Rows start..stop-1 of a table. `phases`: those that it has, in the order in which they can be looked at. `rows`:
    the same rows, if each has its metrics in an order of its own."""

    def __init__(self, table: MetricTable, start: int, stop: int, rows: Sequence[Row] = ()) -> None:
        self._rows = rows
        self._columns = columns_between(table.columns, start, stop)
        self._present = {name: ~np.isnan(column) for name, column in self._columns.items()}
        for name, stated in table.stated_nan.items():
            if name in self._present:
                self._present[name][stated[(stated >= start) & (stated < stop)] - start] = True
        self._phase = table.phase[start:stop]
        self._segment = table.segment[start:stop]
        self._step = table.step[start:stop]
        self._time = table.time[start:stop]
        self.phases: list[Phase] = [phase for at, phase in enumerate(PHASES) if (self._phase == at).any()]
        self.steps = int(self._step[0]), int(self._step[-1])

    def rows(self, phase: Phase) -> NDArray[np.intp]:
        """The places of the rows of a phase in the chunk."""
        return np.flatnonzero(self._phase == PHASES.index(phase))

    def are_not(self, phase: Phase) -> Mask:
        """Whether each row is of another phase."""
        other: Mask = self._phase != PHASES.index(phase)
        return other

    def column(self, phase: Phase, name: str) -> Column:
        """A metric on the rows of a phase, NaN where they lack it."""
        found = self._columns.get(name)
        rows = self.rows(phase)
        return np.full(len(rows), np.nan) if found is None else found[rows]

    def clocks(self) -> tuple[list[float], list[float]] | None:
        """The time and the `wall_time` of each row, NaN where it has none. None where no row has either."""
        wall = self._columns.get("wall_time")
        if wall is None and np.isnan(self._time).all():
            return None
        return self._time.tolist(), np.full(len(self._time), np.nan).tolist() if wall is None else wall.tolist()

    def stretches(self, phase: Phase, beside: Mapping[str, Column], met: Container[str]) -> Iterator[Stretch]:
        """The rows of a phase, in order. `beside`: further columns, NaN on rows without them. `met`: the metrics that
        earlier rows of the phase had."""
        at = self.rows(phase)
        every = len(at) == len(self._phase)
        columns = {name: column if every else column[at] for name, column in self._columns.items()}
        present = {name: here if every else here[at] for name, here in self._present.items()}
        finite = {name: np.isfinite(column) for name, column in columns.items()}
        huge = ~np.isfinite(_row_sums(columns, finite, len(at)))
        step, segment, time = self._step[at], self._segment[at], self._time[at]
        own = {*columns}
        columns["step"], columns["segment"] = step.astype(np.float64), segment.astype(np.float64)
        columns |= _derived(columns, finite, len(at))
        columns |= {name: beside[name] for name in BESIDE if name in beside}
        present |= {name: ~np.isnan(column) for name, column in columns.items() if name not in present}
        begins = np.zeros(len(at) + 1, dtype=np.bool_)
        begins[[0, -1]] = True
        begins[1:-1] |= segment[1:] != segment[:-1]
        begins[:-1] |= huge
        begins[1:] |= huge
        for name, here in present.items():
            if name not in met and here.any():
                begins[here.argmax()] = True
        for first, last in pairwise(np.flatnonzero(begins).tolist()):
            names = [name for name, here in present.items() if here[first:last].any()]
            if self._rows:  # the engine meets new metrics in the order of the row that has them first
                names = [*dict.fromkeys((*self._rows[at[first]].values, *names))]
            if last - first == 1:
                values = {name: float(columns[name][first]) for name in names if name in own}
                row = Row(step=int(step[first]), values=values, segment=int(segment[first]), time=float(time[first]))
                block = single(row)
                for name in BESIDE:
                    if name in beside and present[name][first]:
                        block = block.beside(name, (float(columns[name][first]),))
                yield Stretch(block, {})
                continue
            most = height(len(names))
            for start in range(first, last, most):
                stop = min(start + most, last)
                cells, ragged = _cells(names, columns, present, slice(start, stop))
                steps, times = step[start:stop].tolist(), time[start:stop].tolist()
                yield Stretch(Block(cells, steps, times, int(segment[start]), finite=True), ragged)


def _row_sums(columns: Mapping[str, Column], finite: Mapping[str, Mask], rows: int) -> Column:
    total = np.zeros(rows)
    with np.errstate(all="ignore"):
        for name, column in columns.items():
            total += np.where(finite[name], column, 0.0)
    return total


def _derived(columns: Mapping[str, Column], finite: Mapping[str, Mask], rows: int) -> dict[str, Column]:
    """The derived metrics at each row, NaN where it has none. Rows with the same sources are done together."""
    sources = [name for name in SOURCES if name in columns]
    if len(sources) < 2:
        return {}
    kinds = np.zeros(rows, dtype=np.int64)
    for bit, name in enumerate(sources):
        kinds |= finite[name].astype(np.int64) << bit
    found: dict[str, Column] = {}
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        there = {name: columns[name][own].tolist() for bit, name in enumerate(sources) if kind >> bit & 1}
        for name, values in derive_columns(there).items():
            found.setdefault(name, np.full(rows, np.nan))[own] = values
    return {name: found[name] for name in DERIVED if name in found and not np.isnan(found[name]).all()}


def _cells(
    names: list[str], columns: Mapping[str, Column], present: Mapping[str, Mask], rows: slice
) -> tuple[Columns, dict[str, Ragged]]:
    cells: dict[str, list[float]] = {}
    ends: dict[str, tuple[float, float]] = {}
    ragged: dict[str, Ragged] = {}
    for name in names:
        part, here = columns[name][rows], present[name][rows]
        low, high = float(part.min()), float(part.max())  # NaN where one is
        cells[name] = part.tolist()
        if np.isfinite(low) and np.isfinite(high):
            if low and high:  # the sign of a 0 may differ with numpy
                ends[name] = low, high
        else:
            finite = np.isfinite(part)
            values = part[finite].tolist()
            ragged[name] = Ragged(values, np.cumsum(finite).tolist(), np.cumsum(here).tolist())
            if values:
                ends[name] = min(values), max(values)
    return Columns(cells, ends), ragged
