"""A table of text that grows: its header first, then rows, through a header that is written anew with more columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from rldk.adapters.live.rowsource import ParsedRows
from rldk.adapters.reading import Sink
from rldk.adapters.wire.delimited import Fields, Records, cell
from rldk.core.rows import RowList
from rldk.core.table import Row


class TableParser(Protocol):
    """Takes a table record by record. `delimiter`: None for the one that the first line tells.

    `changed`: the rows put out are otherwise than they seemed, and are to be had from `retell`. `restart`: all rows of
    the table come again. `clock`, `total_steps`: as of `RowSource`."""

    clock: str
    changed: bool
    total_steps: int | None

    @property
    def delimiter(self) -> str | None: ...

    @property
    def header(self) -> Sequence[str]: ...

    def heads(self, record: Fields) -> bool:
        """The record is no row: it is a header, or stands above one."""

    def take(self, record: Fields, sink: Sink, /) -> None: ...

    def retell(self, sink: Sink) -> None: ...

    def restart(self) -> None: ...

    def finish(self, sink: Sink) -> None: ...


class RowByRow:
    """A table each row of which says by itself, under its header, what it is."""

    clock = ""
    changed = False
    total_steps: int | None = None

    def retell(self, sink: Sink) -> None:
        """No row is ever otherwise than it seemed."""

    def restart(self) -> None:
        """Nothing is kept."""

    def finish(self, sink: Sink) -> None:
        """Nothing is ever left open."""


class TableRows(ParsedRows[Fields]):
    """Rows of a table. A row is whole with its line.

    The trainer writes the file anew when a metric appears that the header lacks (Stable-Baselines3, pandas): a file
    that begins with a header and with the first row of the one before is the same log, and all its rows come again.
    Any other one goes on where the one before ended. Lines are numbered within their file."""

    def __init__(self, parser: TableParser) -> None:
        super().__init__(parser, Records(parser.delimiter))
        self._table = parser
        self._first: dict[str, str] | None = None  # the cells of the first row that are not empty
        self._begun = False  # it is not known yet which of the two a file is
        self._headed = False

    @property
    def clock(self) -> str:  # type: ignore[override]
        return self._table.clock

    @property
    def total_steps(self) -> int | None:  # type: ignore[override]
        return self._table.total_steps

    @property
    def mark(self) -> str:  # type: ignore[override]
        """The first row: many runs have the same header. Columns that it has no value for do not change it."""
        return "\n".join(f"{name}={text}" for name, text in sorted((self._first or {}).items()))

    def begin(self) -> None:
        torn = self._take(self._cutter.finish())
        self._rows.rows = torn + self._rows.rows
        self._cutter = Records(self._table.delimiter)
        self._begun, self._headed = True, False

    def _take(self, pieces: Iterator[Fields]) -> list[Row]:
        for record in pieces:
            if self._table.heads(record):
                self._headed = True
            else:
                self._meet(record)
            self._parser.take(record, self)
            if self._table.changed:
                self._again()
                self._table.retell(self)
        return self._rows.take()

    def _again(self) -> None:
        """What follows are all rows, from the first."""
        self.revision += 1
        self.step, self._count, self.rejected_count = 0, 0, 0
        self._rows, self._rejected = RowList(), []

    def _meet(self, record: Fields) -> None:
        """Notes the first row of a file, and whether it has been read before."""
        if self._first is not None and not self._begun:
            return
        row = _told(self._table.header, record.values)
        again = self._begun and self._headed and bool(self._first) and row == self._first
        if again:
            self._again()
            self._table.restart()
        if self._first is None:
            self._first = row
        self._begun = False


def _told(header: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """The cells that say something; a number as it is, because "1" may be written again as "1.0"."""
    cells = ((name, cell(text.strip()), text.strip()) for name, text in zip(header, texts, strict=False))
    return {name: text if value is None else repr(value) for name, value, text in cells if text and value == value}
