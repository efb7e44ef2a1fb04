"""Columns of text: their lengths, their groups, and some of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rldk.core.samples import text_of

Rows = NDArray[np.int64]


class TextColumn(Protocol):
    """A column of text of n rows. A missing text has length NaN."""

    def __len__(self) -> int: ...

    def lengths(self) -> NDArray[np.float64]:
        """The characters of each text, shape (n,)."""

    def some(self, rows: Rows) -> list[str | None]:
        """The texts of these rows, which rise."""

    def __iter__(self) -> Iterator[str | None]:
        """Yields all texts in order, holding only a few at a time."""


class HeldTexts:
    """Texts in memory, as whatever values the source had."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def lengths(self) -> NDArray[np.float64]:
        made = (None if _absent(value) else text_of(value) for value in self._values)
        return np.array([np.nan if text is None else len(text) for text in made], dtype=np.float64)

    def some(self, rows: Rows) -> list[str | None]:
        if len(rows) and len(rows) == rows[-1] - rows[0] + 1:  # a stored column gives such rows at once
            values = self._values[int(rows[0]) : int(rows[-1]) + 1]
        else:
            values = [self._values[row] for row in rows.tolist()]
        return [None if _absent(value) else text_of(value) for value in values]

    def __iter__(self) -> Iterator[str | None]:
        return (None if _absent(value) else text_of(value) for value in self._values)


class ArrowTexts:
    """Texts that Arrow holds or a file gives again: `batches` yields arrays of text, in order."""

    def __init__(self, batches: Callable[[], Iterator[Any]], count: int) -> None:
        self._batches = batches
        self._count = count
        self._wanted: Rows | None = None
        self._kept: dict[int, str | None] = {}
        self._lengths: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return self._count

    def want(self, rows: Rows) -> None:
        """Says which texts will be asked for, so that one pass gives these and the lengths."""
        self._wanted = rows

    def lengths(self) -> NDArray[np.float64]:
        if self._lengths is None:
            self._read(self._wanted if self._wanted is not None else np.zeros(0, dtype=np.int64))
        assert self._lengths is not None  # noqa: S101 - as just read
        return self._lengths

    def some(self, rows: Rows) -> list[str | None]:
        if any(row not in self._kept for row in rows.tolist()):
            self._read(rows)
        return [self._kept.get(row) for row in rows.tolist()]

    def __iter__(self) -> Iterator[str | None]:
        for batch in self._batches():
            yield from batch.to_pylist()

    def _read(self, rows: Rows) -> None:
        import pyarrow.compute as pc

        lengths: list[NDArray[np.float64]] = []
        kept: dict[int, str | None] = {}
        at = 0
        for batch in self._batches():
            counted = pc.utf8_length(batch).cast("float64").fill_null(float("nan"))
            lengths.append(counted.to_numpy(zero_copy_only=False))
            first, last = np.searchsorted(rows, (at, at + len(batch)))
            inside = rows[first:last]
            if len(inside):
                kept.update(zip(inside.tolist(), batch.take(_indices(inside - at)).to_pylist(), strict=True))
            at += len(batch)
        self._lengths = np.concatenate(lengths) if lengths else np.zeros(0)
        self._kept = kept


class CodedTexts:
    """Texts that few values make up: codes of shape (n,), -1 where missing, and the values."""

    def __init__(self, codes: Rows, values: Sequence[Any]) -> None:
        self._codes = codes
        self._values = values

    def __len__(self) -> int:
        return len(self._codes)

    def lengths(self) -> NDArray[np.float64]:
        sizes = np.array([*(len(text_of(value) or "") for value in self._values), np.nan])
        made: NDArray[np.float64] = sizes[self._codes]
        return made

    def some(self, rows: Rows) -> list[str | None]:
        return [text_of(self._values[code]) if code >= 0 else None for code in self._codes[rows].tolist()]

    def __iter__(self) -> Iterator[str | None]:
        texts = [*map(text_of, self._values), None]
        return (texts[code] for code in self._codes)


class JoinedTexts:
    """Two columns of text below each other."""

    def __init__(self, first: TextColumn, second: TextColumn) -> None:
        self._both = (first, second)

    def __len__(self) -> int:
        return sum(map(len, self._both))

    def lengths(self) -> NDArray[np.float64]:
        return np.concatenate([column.lengths() for column in self._both])

    def some(self, rows: Rows) -> list[str | None]:
        first, second = self._both
        cut = int(np.searchsorted(rows, len(first)))
        return [*first.some(rows[:cut]), *second.some(rows[cut:] - len(first))]

    def __iter__(self) -> Iterator[str | None]:
        return chain(*self._both)


def _indices(rows: Rows) -> Any:
    import pyarrow as pa

    return pa.array(rows)


def _absent(value: Any) -> bool:
    """Whether a cell is empty: None or NaN."""
    return value is None or (isinstance(value, float) and value != value)
