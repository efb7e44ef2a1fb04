"""The first rows of a log. They decide what the log is, in the same way for a finished file and a growing one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from rldk.core.columns import columns_between
from rldk.core.rows import OPENING_CELLS, OPENING_ROWS
from rldk.core.table import PHASES, MetricTable, Row


class Span(NamedTuple):
    """The finite values of one key. `first`: the first value that is not 0. `whole`: whether no value has a
    fraction."""

    low: float
    high: float
    first: float
    whole: bool


class Opening:
    """The first rows of a log, and the number of these rows with a value for each key (a stated NaN is a value)."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: list[Row] = []
        self.cover: dict[str, int] = {}
        self._cells = 0
        for row in rows:
            if self.full:
                break
            self.add(row)

    @classmethod
    def of(cls, keys: Collection[str]) -> Opening:
        """The opening that consists of one row with these keys."""
        opening = cls()
        opening.cover = dict.fromkeys(keys, 1)
        return opening

    @property
    def full(self) -> bool:
        return len(self.rows) >= OPENING_ROWS or self._cells >= OPENING_CELLS

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.cover)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.count_cells(len(row.values))
        for key in row.values:
            self.cover[key] = self.cover.get(key, 0) + 1

    def count_cells(self, cells: int) -> None:
        """Notes that the rows have so many values more."""
        self._cells += cells

    def span(self, key: str) -> Span | None:
        """The span of a key; None when no row has a finite value for it."""
        values = [x for row in self.rows if math.isfinite(x := row.values.get(key, math.nan))]
        if not values:
            return None
        first = next((x for x in values if x), 0.0)
        return Span(min(values), max(values), first, all(x.is_integer() for x in values))


def opening_of(table: MetricTable) -> Opening:
    """The opening of a finished log."""
    n = min(OPENING_ROWS, len(table))
    columns = columns_between(table.columns, 0, n)
    if columns and not table.stated_nan and all((column == column).all() for column in columns.values()):
        return _opening_of_whole_rows(table)
    first = replace(
        table,
        step=table.step[:n],
        columns=columns,
        phase=table.phase[:n],
        segment=table.segment[:n],
        time=table.time[:n],
    )
    return Opening(first.rows())


def _opening_of_whole_rows(table: MetricTable) -> Opening:
    """The opening of a log in which no value is missing."""
    n = min(OPENING_ROWS, -(-OPENING_CELLS // len(table.columns)), len(table))
    opening = Opening.of(table.columns)
    places = (table.step, table.phase, table.segment, table.time)
    cells = zip(*[column.tolist() for column in columns_between(table.columns, 0, n).values()], strict=True)
    for step, phase, segment, time, values in zip(*[place[:n].tolist() for place in places], cells, strict=True):
        named = dict(zip(table.columns, values, strict=True))
        opening.rows.append(Row(step=step, values=named, phase=PHASES[phase], segment=segment, time=time))
    opening.cover = dict.fromkeys(table.columns, n)
    opening.count_cells(n * len(table.columns))
    return opening
