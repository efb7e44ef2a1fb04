"""Joins all training rows of a short run into one block, although some rows lack some metrics.

The engine looks at such a run block by block: a block ends where a metric comes or goes, and around evaluations. The
same answers come from one long block that knows which rows have which metric."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, compress
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.table import MetricTable
from rldk.engine.blocks import MOST_ROWS, Block, PhaseBlock, cut
from rldk.engine.features.order import RowSeconds
from rldk.engine.features.window import HUGE, NAN
from rldk.engine.table_blocks import table_blocks

INTERVAL = "row_interval_s"


class Ragged(Struct, frozen=True):
    """A metric that some rows lack. `values`: the finite ones. `counts`: for each row of the block, how many finite
    values there are up to it; `stated`: how many rows have any."""

    values: Sequence[float]
    counts: Sequence[int]
    stated: Sequence[int]

    @property
    def first(self) -> int:
        """The first row that has it, from 0."""
        return bisect_left(self.stated, 1)

    @property
    def is_finite(self) -> bool:
        """Whether it is finite wherever it is stated."""
        return len(self.values) == self.stated[-1]

    def is_stated(self, row: int) -> bool:
        return self.stated[row] > (self.stated[row - 1] if row else 0)

    def last(self, row: int) -> int:
        """The last row up to this one that has it; there must be one."""
        return bisect_left(self.stated, self.stated[row])

    def rows(self, *, nonfinite: bool) -> NDArray[np.bool_]:
        """Which rows have a finite value, or any value."""
        return np.diff(self.stated if nonfinite else self.counts, prepend=0) > 0

    def gaps(self, start: int, last: int) -> NDArray[np.float64]:
        """For each row, the rows since the last one that has the metric. NaN before the first. `start`: rows before the
        block; `last`: the one that had it last, from 1, or 0."""
        there = self.rows(nonfinite=True)
        rows = np.arange(1.0, len(there) + 1.0) + start
        newest = np.maximum.accumulate(np.where(there, rows, float(last)))
        return np.where(newest > 0, rows - newest, NAN)

    def coverage(self, start: int, first: int, before: int) -> NDArray[np.float64]:
        """For each row, the share of the rows since the first one with the metric that have it. NaN before. `first`:
        that row, from 1; `before`: how many rows before the block have it."""
        counts = np.array(self.stated, dtype=np.float64) + before
        rows = np.arange(1.0, len(counts) + 1.0) + start
        with np.errstate(all="ignore"):
            return np.where(counts > 0, counts / (rows - first + 1.0), NAN)

    def lapses(self, before: int, stretch: int) -> tuple[list[int], list[int]]:
        """For each row, what `Memory.lapses` and `Memory.broken` say on it. `before`, `stretch`: what they say on the
        row before the block."""
        found: tuple[list[int], list[int]] = [], []
        for row, count in enumerate(self.counts):
            if self.is_stated(row):
                finite = count > (self.counts[row - 1] if row else 0)
                before, stretch = (before + stretch, 0) if finite else (before, stretch + 1)
            found[0].append(before)
            found[1].append(stretch)
        return found


class Between(NamedTuple):
    """Rows of another phase that follow the first `after` training rows. `intervals`: see `RowSeconds`."""

    after: int
    group: PhaseBlock
    intervals: Sequence[float]


_Part = tuple[Block, Sequence[float]]  # with the intervals before its rows


class JoinedRun(Struct, frozen=True, kw_only=True):
    """The training rows of a run as one block, and the rows in between.

    The columns of the block stand in the order in which the engine meets them, with NaN on rows that lack the metric;
    `ragged` has these columns. `begun`: how many of them the first row has. `steps`: those of the first row of any
    phase and of the last one."""

    block: Block
    steps: tuple[int, int]
    begun: int
    ragged: Mapping[str, Ragged]
    between: Sequence[Between] = ()

    @property
    def compact(self) -> Mapping[str, Sequence[float]]:
        """The columns without the rows that lack the metric."""
        columns = self.block.columns
        if not self.ragged:
            return columns
        return {name: self.ragged[name].values if name in self.ragged else columns[name] for name in columns}


def join_rows(table: MetricTable) -> JoinedRun | None:
    """The training rows of a table as one block. None where the run was restarted, where it has too many rows, and
    where a value is huge or a metric has no finite value."""
    if not 0 < len(table) <= 2 * MOST_ROWS:
        return None
    groups: list[PhaseBlock] = []
    for group in table_blocks(table):
        if group.block.segment:
            return None
        groups.append(group)
    timed = bool((table.time == table.time).any()) or "wall_time" in table.columns
    if len(groups) == 1 and groups[0].phase == "train" and not timed:
        block = groups[0].block
        return JoinedRun(block=block, steps=(block.steps[0], block.steps[-1]), begun=len(block.columns), ragged={})
    if INTERVAL in table.columns or not all(map(_is_small, table.columns.values())):
        return None
    return _joined(groups)


def _is_small(column: NDArray[np.float64]) -> bool:
    """Whether sums of the finite values surely do not overflow."""
    return bool((np.abs(column[np.isfinite(column)]) < HUGE).all())


def _joined(groups: Sequence[PhaseBlock]) -> JoinedRun | None:
    pace = RowSeconds()
    parts: list[_Part] = []
    between: list[Between] = []
    rows = 0
    for group in groups:
        block = group.block
        intervals = pace.intervals(group.phase, block.times, block.columns.get("wall_time", ()))
        if group.phase != "train":
            between.append(Between(rows, group, intervals))
            continue
        parts += cut(block, intervals)
        rows += len(block.steps)
    if not 0 < rows <= MOST_ROWS:
        return None
    steps = groups[0].block.steps[0], groups[-1].block.steps[-1]
    made = _one_block(parts, rows, steps, between)
    return made if all(some.values for some in made.ragged.values()) else None


def _one_block(parts: Sequence[_Part], rows: int, steps: tuple[int, int], between: Sequence[Between]) -> JoinedRun:
    columns: dict[str, list[float]] = {}
    present: dict[str, bytearray] = {}
    odd = {name for block, _ in parts if not block.finite for name, (x,) in block.columns.items() if x - x != 0.0}
    start = 0
    for block, intervals in parts:
        stop = start + len(block.steps)
        for name, values in _columns(block, intervals):
            if name not in columns:
                columns[name], present[name] = [NAN] * rows, bytearray(rows)
            columns[name][start:stop] = values
            present[name][start:stop] = b"\1" * (stop - start)
        start = stop
    return JoinedRun(
        block=Block(columns, [step for block, _ in parts for step in block.steps], [NAN] * rows, 0, finite=True),
        steps=steps,
        begun=len([*_columns(*parts[0])]),
        ragged={name: _ragged(columns[name], there) for name, there in present.items() if 0 in there or name in odd},
        between=between,
    )


def _columns(block: Block, intervals: Sequence[float]) -> Iterator[tuple[str, Sequence[float]]]:
    yield from block.columns.items()
    if intervals:
        yield INTERVAL, intervals


def _ragged(column: Sequence[float], there: bytearray) -> Ragged:
    stated = list(accumulate(there))
    finite = [x - x == 0.0 for x in column]
    counts = list(accumulate(finite))
    return Ragged(list(compress(column, finite)), stated if counts == stated else counts, stated)
