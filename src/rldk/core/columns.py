"""The columns of a long table. A column with few values takes the memory of these, not of all rows."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:  # a live monitor takes rows and starts without numpy
    import numpy as np
    from numpy.typing import NDArray

LONG = 4096  # rows: a column that begins later begins as few values
Stored: TypeAlias = "NDArray[np.float64] | FewValues"
SELDOM = 16  # rows for each value: a row number and a value then take an eighth of the memory of whole columns
MISSING = array("d", [math.nan])


class FewValues:
    """A column that has a value in few rows. `rows`: their numbers, ascending. A NaN among `values` was stated."""

    __slots__ = ("rows", "values")

    def __init__(self) -> None:
        self.rows = array("q")
        self.values = array("d")

    def add(self, row: int, value: float) -> None:
        self.rows.append(row)
        self.values.append(value)

    def extend(self, first: int, values: Sequence[float | None], stated: Sequence[int]) -> None:
        """Takes the values from row `first` on. None is missing, and so is NaN except at the places in `stated`."""
        for place, value in enumerate(values):
            if value is not None and (value == value or place in stated):
                self.add(first + place, value)

    def is_common(self, rows: int) -> bool:
        """Whether a whole column of that many rows would take hardly more memory."""
        return len(self.rows) * SELDOM > rows

    def whole(self, rows: int) -> array[float]:
        """All `rows` values, NaN for a missing one."""
        column = MISSING * rows
        for row, value in zip(self.rows, self.values, strict=True):
            column[row] = value
        return column

    def moved(self, target: NDArray[np.int64]) -> FewValues:
        """The values in other rows: row i becomes target[i]. No two rows may become the same."""
        made = FewValues()
        made.rows = array("q", target[self.rows].tobytes())
        made.values = self.values
        return made

    def between(self, start: int, stop: int) -> NDArray[np.float64]:
        """The values of the rows start..stop-1, NaN for a missing one."""
        import numpy as np

        rows = np.array(self.rows, dtype=np.int64)
        first, last = np.searchsorted(rows, (start, stop))
        column = np.full(stop - start, np.nan)
        column[rows[first:last] - start] = np.array(self.values[first:last], dtype=np.float64)
        return column


class LongColumns(Mapping[str, "NDArray[np.float64]"]):
    """Columns of `rows` values each. `stored`: as arrays or as few values. An array of few values is made each time
    that it is asked for, and takes memory only as long as the caller keeps it."""

    __slots__ = ("rows", "stored")

    def __init__(self, stored: dict[str, Stored], rows: int) -> None:
        self.stored = stored
        self.rows = rows

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        held = self.stored[name]
        return held.between(0, self.rows) if isinstance(held, FewValues) else held

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def __contains__(self, name: object) -> bool:
        return name in self.stored


def stored_columns(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, Stored]:
    """The columns as they are stored: not a copy, if they are of a table that a `TableBuilder` built."""
    if isinstance(columns, LongColumns):
        return columns.stored
    return cast("dict[str, Stored]", columns if isinstance(columns, dict) else dict(columns))


def columns_of(stored: dict[str, Stored], rows: int) -> Mapping[str, NDArray[np.float64]]:
    """The columns of a table of that many rows."""
    if any(isinstance(column, FewValues) for column in stored.values()):
        return LongColumns(stored, rows)
    return cast("dict[str, NDArray[np.float64]]", stored)


def columns_between(
    columns: Mapping[str, NDArray[np.float64]], start: int, stop: int
) -> dict[str, NDArray[np.float64]]:
    """The columns of the rows start..stop-1. Those that are stored as arrays share memory."""
    return {
        name: column.between(start, stop) if isinstance(column, FewValues) else column[start:stop]
        for name, column in stored_columns(columns).items()
    }
