"""Columns of text too long for memory: their values stand in a temporary file and are read as they are used."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Generic, TypeVar, overload

import numpy as np
from msgspec import msgpack

from rldk.core.external.scratch import Held, Scratch

LARGE = 1 << 25  # bytes of a column's texts in memory; a larger column goes to a file
EACH = 57  # bytes that a text takes besides its characters
BLOCK = 1024  # values that are read at a time
PLAIN = (str, int, float, bool, type(None))
Value = TypeVar("Value")


class StoredCells(Sequence[Any]):
    """The values of a column, in a temporary file without a name that ends with this object. Memory: 8 bytes a value,
    and the values that the file cannot give back as they were. Raises `OutputError` where the disk is full."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._scratch = Scratch(Held(spool=0))
        self._spool = self._scratch.spool()
        self._ends = array("q", [0])
        self._waiting: list[bytes] = []
        self._odd: dict[int, Any] = {}
        for value in values:
            self.append(value)

    def __del__(self) -> None:
        self._scratch.__exit__(None, None, None)

    def append(self, value: Any) -> None:
        """Adds the value of the next row."""
        packed = _packed(value)
        if packed is None:
            self._odd[len(self)] = value
            packed = b""
        self._waiting.append(packed)
        self._ends.append(self._ends[-1] + len(packed))
        if len(self._waiting) >= BLOCK:
            self._flush()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[Any]:
        for begin in range(0, len(self), BLOCK):
            yield from self._block(begin, min(begin + BLOCK, len(self)))

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[row] for row in range(*place.indices(len(self)))]
        row = place + len(self) if place < 0 else place
        if not 0 <= row < len(self):
            raise IndexError(place)
        return self._block(row, row + 1)[0]

    def _block(self, begin: int, end: int) -> list[Any]:
        self._flush()
        ends = self._ends
        data = self._spool.read(ends[begin], ends[end] - ends[begin], np.uint8).tobytes()
        made = []
        for row in range(begin, end):
            part = data[ends[row] - ends[begin] : ends[row + 1] - ends[begin]]
            made.append(msgpack.decode(part) if part else self._odd[row])
        return made

    def _flush(self) -> None:
        if self._waiting:
            self._spool.write(np.frombuffer(b"".join(self._waiting), dtype=np.uint8))
            self._waiting.clear()


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
        self.cells = {name: self.cells.get(name, [None] * rows) for name in names}
        self._sizes = {name: self._sizes.get(name, 0) for name in self.cells}

    def append(self, row: dict[str, Any]) -> None:
        """Adds a row, which has a value for each column."""
        for name, value in row.items():
            cells = self.cells[name]
            cells.append(value)
            if isinstance(cells, list) and isinstance(value, str | list | dict):
                self._sizes[name] += EACH + len(value if isinstance(value, str) else str(value))
                if self._sizes[name] > self._large:
                    self.cells[name] = StoredCells(cells)


def _packed(value: Any) -> bytes | None:
    """The value as bytes from which exactly it comes back; None where there are none."""
    try:
        if type(value) in PLAIN:
            return msgpack.encode(value)
        if isinstance(value, list | dict):
            packed = msgpack.encode(value)
            return packed if _same(msgpack.decode(packed), value) else None
    except (TypeError, ValueError, OverflowError, RecursionError):  # a lone surrogate, a large integer, a date
        pass
    return None


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types throughout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return bool(one == other)
