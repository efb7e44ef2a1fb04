"""Columns of text too long for memory: their values stand in a temporary file and are read as they are used."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from typing import Any, Generic, TypeVar, overload

import numpy as np
from msgspec import msgpack

from rldk.core.external.scratch import Held, Scratch

LARGE = 1 << 25  # bytes of a column's texts in memory; a larger column goes to a file
EACH = 57  # bytes that a text takes besides its characters
BLOCK = 128  # values that are written or read at a time, and fewer where they are long
BLOCK_BYTES = 1 << 20
LARGE_VALUE = BLOCK_BYTES // 16  # as which a list or a dict counts
SIZED = (str, list, dict)
PLAIN = frozenset((str, int, float, bool, type(None)))
Value = TypeVar("Value")


class StoredCells(Sequence[Any]):
    """The values of a column, in a temporary file without a name that ends with this object. Memory: a block of values,
    and those that the file cannot give back as they were. To read one value takes as long as to read its block. Raises
    `OutputError` where the disk is full."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._scratch = Scratch(Held(spool=0))
        self._spool = self._scratch.spool()
        self._rows = array("q", [0])  # the first of each block, and the end
        self._places = array("q", [0])  # bytes, likewise
        self._waiting: list[Any] = []
        self._size = 0  # of what waits, about
        self._odd: dict[int, Any] = {}
        self._last: tuple[int, list[Any]] = -1, []  # the number of a block, and its values
        for value in values:
            self.append(value)

    def __del__(self) -> None:
        self._scratch.__exit__(None, None, None)

    def append(self, value: Any) -> None:
        """Adds the value of the next row."""
        self._waiting.append(value)
        self._size += len(value) if type(value) is str else EACH if type(value) in PLAIN else LARGE_VALUE
        if len(self._waiting) >= BLOCK or self._size >= BLOCK_BYTES:
            self._flush()

    def __len__(self) -> int:
        return self._rows[-1] + len(self._waiting)

    def __iter__(self) -> Iterator[Any]:
        return self._between(0, len(self))

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            rows = range(*place.indices(len(self)))
            return list(self._between(rows.start, rows.stop)) if rows.step == 1 else [self[row] for row in rows]
        row = place + len(self) if place < 0 else place
        if not 0 <= row < len(self):
            raise IndexError(place)
        return next(self._between(row, row + 1))

    def _between(self, begin: int, end: int) -> Iterator[Any]:
        self._flush()
        number = bisect_right(self._rows, begin) - 1
        while begin < end:
            first, after = self._rows[number], self._rows[number + 1]
            yield from self._block(number)[begin - first : end - first]
            begin, number = after, number + 1

    def _block(self, number: int) -> list[Any]:
        if self._last[0] != number:
            begin, end = self._places[number], self._places[number + 1]
            values = msgpack.decode(self._spool.read(begin, end - begin, np.uint8).tobytes())
            if self._odd:
                first = self._rows[number]
                values = [self._odd.get(row, value) for row, value in enumerate(values, first)]
            self._last = number, values
        return self._last[1]

    def _flush(self) -> None:
        if self._waiting:
            data = self._packed()
            self._spool.write(np.frombuffer(data, dtype=np.uint8))
            self._places.append(self._places[-1] + len(data))
            self._rows.append(self._rows[-1] + len(self._waiting))
            self._waiting, self._size = [], 0

    def _packed(self) -> bytes:
        """What waits as bytes. A value that does not come back from bytes as it was is kept beside them."""
        if PLAIN.issuperset(map(type, self._waiting)):
            with suppress(ValueError, OverflowError):  # a lone surrogate, a large integer
                return msgpack.encode(self._waiting)
        odd = [not _comes_back(value) for value in self._waiting]
        for row, value in enumerate(self._waiting, self._rows[-1]):
            if odd[row - self._rows[-1]]:
                self._odd[row] = value
        return msgpack.encode([None if odd[at] else value for at, value in enumerate(self._waiting)])


class Mapped(Sequence[Value], Generic[Value]):
    """A column whose values go through a function when they are asked for."""

    def __init__(self, cells: Sequence[Any], function: Callable[[Any], Value]) -> None:
        self._cells, self._function = cells, function

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[Value]:
        return map(self._function, self._cells)

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Value]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self._function(value) for value in self._cells[place]]
        return self._function(self._cells[place])


class GatheredColumns:
    """Columns that grow row by row: lists, and `StoredCells` for those whose texts take more than 32 MB."""

    def __init__(self, names: Iterable[str], *, large: int = LARGE) -> None:
        self.cells: dict[str, list[Any] | StoredCells] = {name: [] for name in names}
        self._sizes = dict(zip(self.cells, repeat(0)))
        self._large = large

    def widen(self, names: Iterable[str], rows: int) -> None:
        """Takes other columns from now on: those that are new are empty in the `rows` rows before."""
        self.cells = {name: self.cells[name] if name in self.cells else [None] * rows for name in names}
        self._sizes = {name: self._sizes.get(name, 0) for name in self.cells}

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a row: its value for each column, None where it has none."""
        for name, cells in self.cells.items():
            value = row.get(name)
            cells.append(value)
            if type(cells) is list and isinstance(value, SIZED):
                self._sizes[name] += EACH + len(value if isinstance(value, str) else str(value))
                if self._sizes[name] > self._large:
                    self.cells[name] = StoredCells(cells)


def _comes_back(value: Any) -> bool:
    """Whether the value comes back from bytes as exactly what it was."""
    try:
        return _same(msgpack.decode(msgpack.encode(value)), value)
    except (TypeError, ValueError, OverflowError, RecursionError):  # a lone surrogate, a large integer, a date
        return False


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types throughout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return bool(one == other or (one != one and other != other))
