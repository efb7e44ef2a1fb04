"""Gathers rows into blocks. A block goes on while phase, segment and metrics stay the same and all values are
finite."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rldk.core.table import Cells, Phase, Row
from rldk.engine.derive import derive_columns, derive_values

MOST_ROWS = 1024  # of a block: a rule decides rarely for all rows of a longer one at once
MOST_CELLS = 50_000
SHORT_ROWS = 64  # of a block, on average
MANY_ROWS = 256  # each 0.4 ms when looked at alone; numpy loads in 0.1 s
Extremes = tuple[float, float]


class Columns(dict[str, Sequence[float]]):
    """The columns of a block, with the smallest and the largest value of each, which several stages ask for."""

    __slots__ = ("_extremes",)

    def __init__(self, columns: Mapping[str, Sequence[float]], extremes: Mapping[str, Extremes] = {}) -> None:
        super().__init__(columns)
        self._extremes = dict(extremes)

    def beside(self, name: str, column: Sequence[float]) -> Columns:
        """Returns the columns with one more."""
        extremes = {known: found for known, found in self._extremes.items() if known != name}
        return Columns({**self, name: column}, extremes)

    @property
    def known_extremes(self) -> Mapping[str, Extremes]:
        return self._extremes

    def extremes(self, name: str) -> Extremes:
        found = self._extremes.get(name)
        if found is None:
            column = self[name]
            found = self._extremes[name] = min(column), max(column)
        return found


def extremes(columns: Mapping[str, Sequence[float]], name: str) -> Extremes:
    """The smallest and the largest value of a column."""
    if type(columns) is Columns:
        return columns.extremes(name)
    column = columns[name]
    return min(column), max(column)


class Block(NamedTuple):
    """Rows of one phase and segment with the same metrics, column by column.

    `finite`: all values are finite. A block for which this is false has a single row."""

    columns: Mapping[str, Sequence[float]]
    steps: Sequence[int]
    times: Sequence[float]
    segment: int
    finite: bool

    def part(self, start: int, stop: int) -> Block:
        """Returns the rows start..stop-1 as a block."""
        columns = {name: column[start:stop] for name, column in self.columns.items()}
        return self._replace(columns=columns, steps=self.steps[start:stop], times=self.times[start:stop])

    def beside(self, name: str, column: Sequence[float]) -> Block:
        """Returns the block with one more metric."""
        if type(self.columns) is Columns:
            return self._replace(columns=self.columns.beside(name, column))
        return self._replace(columns={**self.columns, name: column})


class PhaseBlock(NamedTuple):
    """A block with its phase. `rows` are the rows it was made of; it is empty when the block came from a table."""

    rows: Sequence[Row]
    phase: Phase
    block: Block


def height(metrics: int) -> int:
    """The largest number of rows in a block with so many metrics."""
    return max(1, min(MOST_ROWS, MOST_CELLS // (metrics + 1)))


def blocks(rows: Iterable[Row]) -> Iterator[PhaseBlock]:
    """Yields the rows, in order, as blocks of at most `MOST_ROWS`."""
    held: list[Row] = []
    most = 0
    for row in rows:
        if len(held) >= most or not _alike(held[-1], row):
            yield from _grouped(held)
            held = []
            most = height(len(row.values))
        held.append(row)
    yield from _grouped(held)


def are_short(groups: Sequence[PhaseBlock]) -> bool:
    """Whether blocks have so few rows that stretches of rows that are not alike cost less (see `mixed`)."""
    return sum(len(group.rows) for group in groups) < SHORT_ROWS * len(groups)


def pays_numpy(rows: int) -> bool:
    """Whether so many rows repay the loading of numpy, which a monitor starts without."""
    return rows >= MANY_ROWS or (rows > 0 and "numpy" in sys.modules)


def _alike(a: Row, b: Row) -> bool:
    """Whether two rows have the same phase and segment, and the same metrics in the same order."""
    x, y = a.values, b.values
    shared = type(x) is type(y) is Cells and x.columns is y.columns
    return (shared or [*x] == [*y]) and a.segment == b.segment and a.phase == b.phase


def _columns(rows: Sequence[Row]) -> dict[str, list[float]]:
    """The values of similar rows, one column a metric. Rows that share columns are copied in one slice."""
    made: dict[str, list[float]] = {name: [] for name in rows[0].values}
    start = 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and _follows(rows[stop - 1].values, rows[stop].values):
            stop += 1
        values = rows[start].values
        if type(values) is Cells:
            first, end = values.row, values.row + stop - start
            for name, column in values.columns.items():
                made[name] += column[first:end]
        else:
            table = zip(*[row.values.values() for row in rows[start:stop]], strict=True)
            for name, cells in zip(made, table, strict=True):
                made[name] += cells
        start = stop
    return made


def _follows(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Whether both rows can be copied at once: they are neighbouring cells of shared columns, or neither shares
    columns."""
    if type(a) is Cells and type(b) is Cells:
        return a.columns is b.columns and b.row == a.row + 1
    return type(a) is not Cells and type(b) is not Cells


def single(row: Row) -> Block:
    """Returns the block of one row."""
    values = {**row.values, "step": float(row.step), "segment": float(row.segment)}
    values |= derive_values(values)
    total = sum(values.values())
    finite = total - total == 0.0  # otherwise a value is not finite, or the sum overflows
    return Block({name: (x,) for name, x in values.items()}, (row.step,), (row.time,), row.segment, finite)


def whole(group: PhaseBlock) -> Iterator[PhaseBlock]:
    """Adds step, segment and derived columns to a block, and cuts it where other derived values become available."""
    block, start = group.block, 0
    steps, n = list(map(float, block.steps)), len(block.steps)
    block = block.beside("step", steps).beside("segment", [float(block.segment)] * n)
    made = derive_columns(block.columns)
    there = zip(*[[x == x for x in column] for column in made.values()], strict=True) if made else iter(((),) * n)
    for known, same in groupby(there):
        stop = start + sum(1 for _ in same)
        part = block if stop - start == n else block.part(start, stop)
        for name, is_there in zip(made, known, strict=True):
            part = part.beside(name, made[name][start:stop]) if is_there else part
        yield PhaseBlock(group.rows[start:stop], group.phase, part)
        start = stop


def cut(block: Block, column: Sequence[float]) -> Iterator[tuple[Block, Sequence[float]]]:
    """Cuts the block where values of the column start or stop being present.

    Yields each part with its values, or with () where they are missing."""
    n, start = len(block.steps), 0
    for there, same in groupby([x == x for x in column]):
        stop = start + sum(1 for _ in same)
        part = block if stop - start == n else block.part(start, stop)
        yield part, column[start:stop] if there else ()
        start = stop


def _grouped(rows: Sequence[Row]) -> Iterator[PhaseBlock]:
    if len(rows) <= 1:
        yield from (PhaseBlock(rows, row.phase, single(row)) for row in rows)
        return
    columns = _columns(rows)
    total = sum(map(sum, columns.values()))
    if total - total == 0.0:
        steps, times = [row.step for row in rows], [row.time for row in rows]
        block = Block(columns, steps, times, rows[0].segment, finite=True)
        yield from whole(PhaseBlock(rows, rows[0].phase, block))
        return
    half = len(rows) // 2  # halve until only the rows that are not finite stand alone
    yield from _grouped(rows[:half])
    yield from _grouped(rows[half:])
