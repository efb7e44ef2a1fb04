"""Records put together as rows: steps carried or counted, scalar events of one step gathered into one row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rldk.core.records import Record
from rldk.core.table import Phase, Row


class RowSink(Protocol):
    """Where rows go: a `TableBuilder` for a whole file, a `RowList` for a live one."""

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


class Assembler:
    """Turns records into rows of `sink`.

    A record without a step has that of the record before it (0 at the start); when the file has no clock at all,
    `counted`, rows are numbered from 0. Consecutive scalar events of one step and phase make one row; a name that the
    row has already starts the next one.
    """

    __slots__ = ("_counted", "_last", "_open", "_rows", "_sink")

    def __init__(self, sink: RowSink, *, counted: bool) -> None:
        self._sink = sink
        self._counted = counted
        self._last = 0
        self._rows = 0
        self._open: Record | None = None

    def record(self, record: Record) -> None:
        """Takes a record of any form."""
        if record.name is not None:
            self.events((record.step,), (record.time,), (record.phase,), (record.name,), (record.value,))
            return
        self.finish()
        self._sink.add(self._step(record.step), record.values, phase=record.phase, time=record.time)
        self._rows += 1

    def events(
        self,
        steps: Iterable[int | None],
        times: Iterable[float],
        phases: Iterable[Phase],
        names: Iterable[str],
        values: Iterable[float | None],
    ) -> None:
        """Takes scalar events; a value of None is missing and adds nothing to the row."""
        row = self._open
        for step, time, phase, name, value in zip(steps, times, phases, names, values, strict=True):
            at = self._last if step is None and not self._counted else step
            if row is None or at != row.step or name in row.values or phase != row.phase:
                self.finish()
                row = self._open = Record(step=at, time=time, phase=phase)
                if at is not None:
                    self._last = at
            if value is not None:
                row.values[name] = value

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
        """Closes the row that scalar events are still being gathered into."""
        row, self._open = self._open, None
        if row is not None:
            self._sink.add(self._step(row.step), row.values, phase=row.phase, time=row.time)
            self._rows += 1

    def _step(self, step: int | None, *, ahead: int = 0) -> int:
        if self._counted:
            return self._rows + ahead
        if step is not None:
            self._last = step
        return self._last


class RowList:
    """Rows as the engine is fed them, in order. The segment rises when a train step is below the one before."""

    __slots__ = ("_last", "_segment", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._last: int | None = None
        self._segment = 0

    def take(self) -> list[Row]:
        """The rows since the last call."""
        rows, self.rows = self.rows, []
        return rows

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
        said = {name: set(rows) for name, rows in stated.items()}
        for i, step in enumerate(steps):
            values = {name: _present(column[i], i in said.get(name, ())) for name, column in columns.items()}
            present = {name: value for name, value in values.items() if value is not None}
            self.add(step, present, phase=phases[i], time=times[i])


def _present(value: float | None, stated: bool) -> float | None:
    if stated:
        return math.nan
    return None if value is None or value != value else float(value)  # a boolean is a number here
