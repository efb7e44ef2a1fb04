"""Turns bytes that arrive over time into rows with a log's own names, from JSON lines and console formats."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from rldk.adapters.reading import Glimpse, Parser, rank_notes, too_wide
from rldk.adapters.wire.console import Cutter, Piece
from rldk.core.jsonl import KEPT_REJECTS, Decoder
from rldk.core.lines import EXCERPT
from rldk.core.model import COUNTED, Rejected
from rldk.core.rows import RowList
from rldk.core.table import MAX_METRICS, Phase, Row

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class RowSource(Protocol):
    """The rows of a growing log. `settled`: later data cannot change how earlier data is read.

    `revision` rises when rows returned earlier were wrong; that call returns all rows again. `lines`: the number of
    records, including refused ones. `text`: a text that may name the trainer. `notes`: what the user should know.
    """

    revision: int
    text: str

    @property
    def total_steps(self) -> int | None:
        """The intended number of steps of the run, if the log states it."""

    @property
    def clock(self) -> str:
        """The name of the clock, as in `RunMeta`."""

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
        """A text that distinguishes this log from others with the same first line; "" when the first line suffices."""

    def begin(self) -> None:
        """Announces that the next data is the beginning of a file: of the next file, or of this one after a rewrite."""

    def feed(self, data: bytes) -> list[Row]:
        """The rows that `data` completes."""

    def early(self) -> list[Row]:
        """The rows so far of an unsettled source, which must get no more data."""

    def pending(self) -> list[Row]:
        """The row that the next bytes may extend."""

    def finish(self) -> list[Row]:
        """The rows that were still open."""


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
        """Does nothing: a line states by itself what it is."""


class Cut(Protocol[T_co]):
    """Cuts bytes that arrive over time into pieces."""

    def feed(self, data: bytes) -> Iterator[T_co]: ...

    def finish(self) -> Iterator[T_co]: ...


class ParsedRows(Generic[T]):
    """The rows that a parser makes from pieces. The object is also the sink of the parser."""

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
        """Does nothing: a text states by itself what it is."""

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
        if len(values) > MAX_METRICS:
            self.reject(self.lines + 1, 0, too_wide(values))
            return
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
    """The rows of a console format."""

    def __init__(self, parser: Parser[Piece]) -> None:
        super().__init__(parser, Cutter())


class Counting(Parser[Piece], Protocol):
    """A parser that learns the intended number of steps."""

    @property
    def total(self) -> int | None: ...


class CountedRows(TextRows):
    """The rows of a console format that states the intended number of steps."""

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
