"""Puts records together as rows: steps are carried or counted, and scalar events of one step become one row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from operator import gt
from typing import NamedTuple, Protocol, cast

from msgspec.structs import replace

from rldk.core.records import Record, to_time
from rldk.core.table import Cells, Phase, Row

# The first rows of a log settle what it is like. A live reader holds them back, so that it comes to the same answer.
OPENING_ROWS = 100
OPENING_CELLS = 50_000  # values in them, about 5 MB; the row that reaches it is the last one


class RowSink(Protocol):
    """Receives the rows: a `TableBuilder` for a whole file, a `RowList` for a live one."""

    def add(self, step: int, values: Mapping[str, float], *, phase: Phase, time: float) -> None: ...

    def extend(
        self,
        steps: Sequence[int],
        columns: Mapping[str, Sequence[float | None]],
        *,
        phases: Sequence[Phase],
        times: Sequence[float],
        stated: Mapping[str, Sequence[int]],
    ) -> None: ...


class Events(NamedTuple):
    """Scalar events in order, field by field, as lists. `times` are as logged."""

    steps: list[int | None]
    times: list[float | str | None]
    phases: list[Phase]
    names: list[str]
    values: list[float | None]


class Assembler:
    """Turns records into rows of `sink`.

    A record without a step gets the step of the record before it (0 at the start). When the file has no clock at all
    (`counted`), rows are numbered from 0. Consecutive scalar events of one step and phase make one row. A name that the
    row already has starts the next row."""

    __slots__ = ("_counted", "_last", "_open", "_rows", "_sink", "_usual")

    def __init__(self, sink: RowSink, *, counted: bool) -> None:
        self._sink = sink
        self._counted = counted
        self._last = 0
        self._rows = 0
        self._open: Record | None = None
        self._usual: list[str] = []

    def record(self, record: Record) -> None:
        """Takes a record of any form."""
        if record.name is not None:
            self.events(Events([record.step], [record.time], [record.phase], [record.name], [record.value]))
            return
        self.finish()
        self._sink.add(self._step(record.step), record.values, phase=record.phase, time=record.time)
        self._rows += 1

    def events(self, events: Events) -> None:
        """Takes scalar events. A value of None is missing and adds nothing to the row."""
        i, many = 0, len(events.names)
        while i < len(events.names):
            row = self._begin(events.steps[i], events.times[i], events.phases[i], events.names[i])
            if not row.values and self._usual:  # most rows have the metrics of the row before: take them together
                many = min(many, (len(events.names) - i) // len(self._usual))
                while many > 1 and not _alike(events, i, many, self._usual):
                    many //= 2
                if many > 1:
                    i = self._together(events, i, many)
                    many *= 4
                    continue
                many = 4
            value = events.values[i]
            if value is not None:
                row.values[events.names[i]] = value
            i += 1

    def _together(self, events: Events, start: int, many: int) -> int:
        """Takes `many` rows in place of the one just begun and leaves the last of them open. Returns the start of the
        next row."""
        width = len(self._usual)
        end = start + (many - 1) * width
        self._open = None
        self.block(
            events.steps[start:end:width],
            {name: events.values[start + i : end : width] for i, name in enumerate(self._usual)},
            phases=events.phases[start:end:width],
            times=[x if type(x) is float else to_time(x) for x in events.times[start:end:width]],
            stated={},
        )
        last = self._begin(events.steps[end], events.times[end], events.phases[end], events.names[end])
        last.values.update(zip(self._usual, events.values[end : end + width], strict=True))  # type: ignore[arg-type]
        return end + width

    def _begin(self, step: int | None, time: float | str | None, phase: Phase, name: str) -> Record:
        """The row that an event goes into: the open one, or a new one."""
        row = self._open
        at = self._last if step is None and not self._counted else step
        if row is None or at != row.step or name in row.values or phase != row.phase:
            self.finish()
            row = self._open = Record(step=at, time=to_time(time), phase=phase)
            if at is not None:
                self._last = at
        return row

    def block(
        self,
        steps: Sequence[int | None],
        columns: Mapping[str, Sequence[float | None]],
        *,
        phases: Sequence[Phase],
        times: Sequence[float],
        stated: Mapping[str, Sequence[int]],
    ) -> None:
        """Takes many wide records at once, column by column."""
        self.finish()
        whole = [self._step(step, ahead=i) for i, step in enumerate(steps)] if None in steps else steps
        if len(whole):
            self._last = whole[-1] or 0
        self._sink.extend(whole, columns, phases=phases, times=times, stated=stated)  # type: ignore[arg-type]
        self._rows += len(whole)

    def finish(self) -> None:
        """Closes the row that still takes scalar events."""
        row, self._open = self._open, None
        if row is not None:
            self._usual = list(row.values)
            self._sink.add(self._step(row.step), row.values, phase=row.phase, time=row.time)
            self._rows += 1

    @property
    def open(self) -> Record | None:
        """The row that still takes scalar events, with its step filled in."""
        row = self._open
        if row is None:
            return None
        step = self._rows if self._counted else self._last if row.step is None else row.step
        return Record(step=step, time=row.time, phase=row.phase, values=dict(row.values))

    def _step(self, step: int | None, *, ahead: int = 0) -> int:
        if self._counted:
            return self._rows + ahead
        if step is not None:
            self._last = step
        return self._last


class Joiner:
    """Joins consecutive rows of one step, phase and segment while no metric occurs twice, as `merge_rows` does."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: Row | None = None

    def feed(self, rows: Iterable[Row]) -> list[Row]:
        """The joined rows that are whole. The last one may still grow and stays pending."""
        whole = []
        for row in rows:
            last = self.pending
            if last is not None and _belong(last, row):
                self.pending = replace(last, values={**last.values, **row.values})
                continue
            if last is not None:
                whole.append(last)
            self.pending = row
        return whole

    def finish(self) -> list[Row]:
        """The row that was pending."""
        last, self.pending = self.pending, None
        return [] if last is None else [last]


def opening_length(rows: Sequence[Row]) -> int | None:
    """How many of the rows belong to the opening of the log. None while that may still grow."""
    cells = 0
    for n, row in enumerate(rows, start=1):
        cells += len(row.values)
        if n >= OPENING_ROWS or cells >= OPENING_CELLS:
            return n
    return None


def has_joinable(rows: Sequence[Row]) -> bool:
    """Whether any two of the rows would be joined."""
    return any(_belong(a, b) for a, b in pairwise(rows))


def _belong(a: Row, b: Row) -> bool:
    same = a.step == b.step and a.phase == b.phase and a.segment == b.segment
    return same and a.values.keys().isdisjoint(b.values)


class RowList:
    """Rows as the engine takes them, in order. The segment rises when a train step is below the one before."""

    __slots__ = ("_last", "_segment", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._last: int | None = None
        self._segment = 0

    def take(self) -> list[Row]:
        """The rows since the last call."""
        rows, self.rows = self.rows, []
        return rows

    def preview(self, step: int, values: Mapping[str, float], *, phase: Phase, time: float) -> Row:
        """The row that `add` would add."""
        back = phase == "train" and self._last is not None and step < self._last
        return Row(step=step, values=values, phase=phase, segment=self._segment + back, time=time)

    def add(self, step: int, values: Mapping[str, float], *, phase: Phase, time: float) -> None:
        if phase == "train":
            if self._last is not None and step < self._last:
                self._segment += 1
            self._last = step
        self.rows.append(Row(step=step, values=values, phase=phase, segment=self._segment, time=time))

    def extend(
        self,
        steps: Sequence[int],
        columns: Mapping[str, Sequence[float | None]],
        *,
        phases: Sequence[Phase],
        times: Sequence[float],
        stated: Mapping[str, Sequence[int]],
    ) -> None:
        values = _values({name: _floats(column) for name, column in columns.items()}, stated, len(steps))
        if phases.count("train") == len(phases) and self._rises(steps):
            segment = self._segment
            told = zip(steps, values, times, strict=True)
            self.rows += [Row(step=step, values=x, segment=segment, time=time) for step, x, time in told]
            return
        for step, x, phase, time in zip(steps, values, phases, times, strict=True):
            self.add(step, x, phase=phase, time=time)

    def _rises(self, steps: Sequence[int]) -> bool:
        """Whether these steps of training rows begin no segment. If so, the last one is remembered."""
        if not steps or (self._last is not None and steps[0] < self._last) or any(map(gt, steps, steps[1:])):
            return False
        self._last = steps[-1]
        return True


def _values(
    cells: Mapping[str, Sequence[float]], stated: Mapping[str, Sequence[int]], rows: int
) -> Iterable[Mapping[str, float]]:
    """The values of each row. NaN means missing, except at the row numbers in `stated`."""
    if not stated and all(total == total for total in map(sum, cells.values())):
        return [Cells(cells, i) for i in range(rows)]
    table = zip(*cells.values(), strict=True)
    made = [{name: x for name, x in zip(cells, row, strict=True) if x == x} for row in table]
    for name, said in stated.items():
        for i in said:
            made[i][name] = math.nan
    return made


def _alike(events: Events, start: int, many: int, usual: list[str]) -> bool:
    """Whether `many` rows with the metrics in `usual` begin at `start`, of one phase, with no value missing or NaN."""
    width = len(usual)
    end = start + many * width
    if events.names[start:end] != usual * many:
        return False
    steps, phases, values = events.steps[start:end], events.phases[start:end], events.values[start:end]
    firsts = steps[::width]
    if None in firsts or phases.count(phases[0]) != len(phases) or None in values:
        return False
    total = sum(values)  # type: ignore[arg-type]  # none is None
    return total == total and all(steps[i::width] == firsts for i in range(1, width))


def _floats(column: Sequence[float | None]) -> list[float]:
    """The column with booleans as numbers and None as NaN."""
    kinds = set(map(type, column))
    if kinds == {float}:
        return list(cast(Sequence[float], column))
    return [math.nan if value is None else float(value) for value in column]


def same_row(a: Row, b: Row) -> bool:
    """Whether two rows have the same content, whenever they were written. NaN equals NaN here."""
    if (a.step, a.phase, a.segment) != (b.step, b.phase, b.segment) or a.values.keys() != b.values.keys():
        return False
    return all(x == b.values[name] or (x != x and b.values[name] != b.values[name]) for name, x in a.values.items())
