"""Bytes that arrive over time made rows in a log's own names: JSON lines, and console formats text by text."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from rldk.adapters.reading import Glimpse, Parser, rank_notes
from rldk.adapters.wire.console import Cutter, Piece
from rldk.core.jsonl import KEPT_REJECTS, Decoder
from rldk.core.lines import EXCERPT
from rldk.core.model import COUNTED, Rejected
from rldk.core.rows import RowList
from rldk.core.table import Phase, Row

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class RowSource(Protocol):
    """Rows of a log that grows. `settled`: what comes next cannot change how what came is read.

    `revision` rises when rows returned earlier turn out to be otherwise: then the call returns all rows anew. `lines`:
    records and refused ones. `text`: what may name the trainer. `notes`: what the user should know.
    """

    revision: int
    text: str

    @property
    def total_steps(self) -> int | None:
        """That the run was to make, if it says so."""

    @property
    def clock(self) -> str:
        """As of `RunMeta`."""

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def settled(self) -> bool: ...

    @property
    def lines(self) -> int: ...

    @property
    def rejected_count(self) -> int: ...

    @property
    def rejected(self) -> tuple[Rejected, ...]: ...

    @property
    def meta(self) -> Mapping[str, Any]: ...

    @property
    def mark(self) -> str:
        """What tells this log from another one whose first line is the same; "" where the first line does."""

    def begin(self) -> None:
        """What is fed next is the beginning of a file: of the next one, or of this one written anew."""

    def feed(self, data: bytes) -> list[Row]:
        """The rows that `data` completes."""

    def early(self) -> list[Row]:
        """The rows so far of a source that is not settled; it must not be fed any more."""

    def pending(self) -> list[Row]:
        """The row that the next bytes may add to."""

    def finish(self) -> list[Row]:
        """The rows that were open."""


class JsonRows(Decoder):
    """JSON lines; the options are those of `Decoder`."""

    revision: int = 0
    text: str = ""
    mark: str = ""

    @property
    def clock(self) -> str:
        return COUNTED if super().clock is None else super().clock or ""

    @property
    def notes(self) -> tuple[str, ...]:
        return rank_notes(self.rank)

    def begin(self) -> None:
        """A line says by itself what it is."""


class Cut(Protocol[T_co]):
    """Takes bytes that arrive over time apart."""

    def feed(self, data: bytes) -> Iterator[T_co]: ...

    def finish(self) -> Iterator[T_co]: ...


class ParsedRows(Generic[T]):
    """Rows that a parser makes of pieces. It is also the sink of the parser."""

    settled = True
    mark = ""
    total_steps: int | None = None
    clock = ""
    notes: tuple[str, ...] = ()
    meta: Mapping[str, Any] = {}

    def __init__(self, parser: Parser[T], cutter: Cut[T]) -> None:
        self.revision = 0
        self.text = ""
        self.step = 0
        self.rejected_count = 0
        self._parser = parser
        self._cutter = cutter
        self._rows = RowList()
        self._count = 0
        self._rejected: list[Rejected] = []

    @property
    def lines(self) -> int:
        return self._count + self.rejected_count

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return tuple(self._rejected)

    def begin(self) -> None:
        """A text says by itself what it is."""

    def feed(self, data: bytes) -> list[Row]:
        return self._take(self._cutter.feed(data))

    def early(self) -> list[Row]:
        return []

    def pending(self) -> list[Row]:
        return []

    def finish(self) -> list[Row]:
        rows = self._take(self._cutter.finish())
        self._parser.finish(self)
        return rows + self._rows.take()

    def row(self, step: int, values: Mapping[str, float], *, phase: Phase = "train", time: float = math.nan) -> None:
        self.step = step
        self._count += 1
        self._rows.add(step, dict(values), phase=phase, time=time)

    def reject(self, line: int, offset: int, reason: str, excerpt: str = "") -> None:
        self.rejected_count += 1
        if len(self._rejected) < KEPT_REJECTS:
            self._rejected.append(Rejected(line=line, offset=offset, reason=reason, excerpt=excerpt[:EXCERPT]))

    def _take(self, pieces: Iterator[T]) -> list[Row]:
        for piece in pieces:
            self._parser.take(piece, self)
        return self._rows.take()


class TextRows(ParsedRows[Piece]):
    """A console format."""

    def __init__(self, parser: Parser[Piece]) -> None:
        super().__init__(parser, Cutter())


class Counting(Parser[Piece], Protocol):
    """A parser that learns how far the steps were to go."""

    @property
    def total(self) -> int | None: ...


class CountedRows(TextRows):
    """A console format that says how far the steps were to go."""

    def __init__(self, parser: Counting) -> None:
        super().__init__(parser)
        self._counting = parser

    def finish(self) -> list[Row]:
        rows = super().finish()
        self.total_steps = self._counting.total
        return rows

    def pending(self) -> list[Row]:
        seen = Glimpse(self.step)
        copy.deepcopy(self._counting).finish(seen)
        return [self._rows.preview(step, values, phase=phase, time=math.nan) for step, values, phase in seen.rows]

    def _take(self, pieces: Iterator[Piece]) -> list[Row]:
        rows = super()._take(pieces)
        self.total_steps = self._counting.total
        return rows
