"""Metrics as columns: one thin table, and the builder that grows it row by row."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msgspec import Struct, field

from rldk.core.columns import LONG, MISSING, FewValues, Stored, columns_of, stored_columns
from rldk.errors import InputError

if TYPE_CHECKING:  # a live monitor takes rows and starts without numpy
    import numpy as np
    from numpy.typing import NDArray

    Number = TypeVar("Number", bound=np.generic)

MAX_CELLS = 2**29  # rows x metrics, 4.3 GB: a source with a new key on every row would otherwise fill any memory
MANY_METRICS = 1000  # with more metrics, most values are missing: such a table may fill only a tenth
MAX_METRICS = 20_000  # ten times the widest real log known (one column for each expert and layer)
Phase = Literal["train", "eval", "summary"]
PHASES: tuple[Phase, ...] = ("train", "eval", "summary")


class Row(Struct, frozen=True, kw_only=True):
    """One row as the engine takes it. A metric absent from `values` is missing; a NaN in it was stated by the
    source."""

    step: int
    values: Mapping[str, float]
    phase: Phase = "train"
    segment: int = 0
    time: float = math.nan


class Cells(Mapping[str, float]):
    """One row of columns that it shares with the rows around it: the `values` of a `Row` without a cost per value."""

    __slots__ = ("columns", "row")

    def __init__(self, columns: Mapping[str, Sequence[float]], row: int) -> None:
        self.columns = columns
        self.row = row

    def __getitem__(self, name: str) -> float:
        return self.columns[name][self.row]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


class MetricTable(Struct, frozen=True, kw_only=True):
    """The metrics of one run. All arrays have shape (n,), rows in the order of the source.

    `columns`: NaN means missing, unless the row number stands in `stated_nan[name]`: there the source itself said NaN.
    `phase`: index into `PHASES`. `segment`: 0, 1, ... rises when the step goes back (a restarted run). `time`: unix
    seconds or seconds since start, as the source has it; NaN where it has none."""

    step: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    phase: NDArray[np.uint8]
    segment: NDArray[np.int32]
    time: NDArray[np.float64]
    stated_nan: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.step.shape[0])

    def select(self, names: Sequence[str]) -> MetricTable:
        """The same rows with only the named columns (unknown names are left out). It shares memory."""
        stored = stored_columns(self.columns)
        keep = [n for n in names if n in stored]
        return MetricTable(
            step=self.step,
            columns=columns_of({n: stored[n] for n in keep}, len(self)),
            phase=self.phase,
            segment=self.segment,
            time=self.time,
            stated_nan={n: self.stated_nan[n] for n in keep if n in self.stated_nan},
        )

    def rows(self) -> Iterator[Row]:
        """Yields rows in order. Missing values are absent, stated NaN is present."""
        stated = {name: set(rows.tolist()) for name, rows in self.stated_nan.items()}
        columns = [(name, column.tolist(), stated.get(name)) for name, column in self.columns.items()]
        steps, phases = self.step.tolist(), self.phase.tolist()
        segments, times = self.segment.tolist(), self.time.tolist()
        for i, step in enumerate(steps):
            values = {n: c[i] for n, c, s in columns if c[i] == c[i] or (s is not None and i in s)}
            yield Row(step=step, values=values, phase=PHASES[phases[i]], segment=segments[i], time=times[i])


class TableBuilder:
    """Grows a MetricTable row by row. A column is an `array('d')`, filled up with missing values before its first one.
    A column that begins late in a long table is `FewValues` until it has more than few."""

    __slots__ = ("_columns", "_n", "_phase", "_segment", "_stated", "_step", "_time")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._step = array("q")
        self._phase = array("B")
        self._segment = array("i")
        self._time = array("d")
        self._columns: dict[str, array[float] | FewValues] = {}
        self._stated: dict[str, array[int]] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(
        self,
        step: int,
        values: Mapping[str, float],
        *,
        phase: Phase = "train",
        segment: int = 0,
        time: float = math.nan,
    ) -> None:
        """Appends a row. Leave a missing metric out of `values`; a NaN in `values` is remembered as stated."""
        n = self._n
        self._step.append(step)
        self._phase.append(PHASES.index(phase))
        self._segment.append(segment)
        self._time.append(time)
        for name, value in values.items():
            column = self._columns.get(name)
            if column is None:
                column = self._open(name)
            if isinstance(column, FewValues):
                column.add(n, value)
                self._settle(name, column, n + 1)
            else:
                if len(column) < n:
                    column.extend(MISSING * (n - len(column)))
                column.append(value)
            if value != value:
                self._stated.setdefault(name, array("q")).append(n)
        self._n = n + 1

    def extend(
        self,
        steps: Sequence[int],
        columns: Mapping[str, Sequence[float | None]],
        *,
        phases: Sequence[Phase],
        times: Sequence[float],
        stated: Mapping[str, Sequence[int]],
        segment: int = 0,
    ) -> None:
        """Appends rows column by column. None and NaN are missing, except at the row numbers in `stated` (from 0)."""
        n, total = self._n, self._n + len(steps)
        pack = struct.Struct(f"{len(steps)}d").pack  # takes half of the time of `array`
        self._step.extend(steps)
        self._phase.extend(map(PHASES.index, phases))
        self._segment.extend(array("i", [segment]) * len(steps))
        self._time.extend(times)
        for name, values in columns.items():
            column = self._columns.get(name)
            if column is None:
                column = self._open(name)
            if isinstance(column, FewValues):
                column.extend(n, values, stated.get(name, ()))
                self._settle(name, column, total)
                continue
            if len(column) < n:
                column.extend(MISSING * (n - len(column)))
            if isinstance(values, array):
                column.extend(values)
                continue
            try:
                column.frombytes(pack(*values))  # the quick way when no value is None
            except struct.error:
                column.extend(array("d", [math.nan if value is None else value for value in values]))
        for name, rows in stated.items():
            self._stated.setdefault(name, array("q")).extend(n + row for row in rows)
        self._n = total

    def _open(self, name: str) -> array[float] | FewValues:
        self._check_size(len(self._columns) + 1)
        column = self._columns[name] = MISSING * self._n if self._n < LONG else FewValues()
        return column

    def _settle(self, name: str, column: FewValues, rows: int) -> None:
        if column.is_common(rows):
            self._columns[name] = column.whole(rows)

    def _check_size(self, columns: int) -> None:
        cells = MAX_CELLS if columns <= MANY_METRICS else MAX_CELLS // 10
        if columns > MAX_METRICS or columns * self._n > cells:
            raise InputError(
                f"the log has {columns} different metrics on {self._n} rows, more than can be held",
                hint="log per-item values as samples, not as metrics of their own",
            )

    def build(self) -> MetricTable:
        """Builds the table, which takes over the memory of this builder: it is empty then. Raises `InputError` when the
        table would have more than `MAX_CELLS` cells."""
        import numpy as np

        self._check_size(len(self._columns))
        columns: dict[str, Stored] = {}
        for name, column in self._columns.items():
            if isinstance(column, FewValues):
                columns[name] = column
                continue
            if len(column) < self._n:
                column.extend(MISSING * (self._n - len(column)))
            columns[name] = self._shared(column, np.float64)
        table = MetricTable(
            step=self._shared(self._step, np.int64),
            columns=columns_of(columns, self._n),
            phase=self._shared(self._phase, np.uint8),
            segment=self._shared(self._segment, np.int32),
            time=self._shared(self._time, np.float64),
            stated_nan={n: np.array(rows, dtype=np.int64) for n, rows in self._stated.items()},
        )
        self._clear()
        return table

    def _shared(self, values: array[Any], kind: type[Number]) -> NDArray[Number]:
        """The same memory as a numpy array. An empty one has none to share."""
        import numpy as np

        return np.frombuffer(values, dtype=kind) if self._n else np.empty(0, dtype=kind)
