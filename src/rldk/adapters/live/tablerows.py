"""Reads a growing table of text: a header, then rows. The trainer may rewrite the header with more columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from rldk.adapters.live.rowsource import ParsedRows
from rldk.adapters.reading import Sink
from rldk.adapters.wire.delimited import Fields, Records, cell
from rldk.core.rows import RowList
from rldk.core.table import Row


class TableParser(Protocol):
    """Reads a table record by record. `delimiter`: None when the first line decides it.

    `changed`: the rows put out were wrong, and `retell` gives the right ones. `restart`: all rows of the table come
    again. `clock`, `total_steps`: as in `RowSource`."""

    clock: str
    changed: bool
    total_steps: int | None

    @property
    def delimiter(self) -> str | None: ...

    @property
    def header(self) -> Sequence[str]: ...

    def heads(self, record: Fields) -> bool:
        """Whether the record is not a row, but a header or a line above one."""

    def take(self, record: Fields, sink: Sink, /) -> None: ...

    def retell(self, sink: Sink) -> None: ...

    def restart(self) -> None: ...

    def finish(self, sink: Sink) -> None: ...


class RowByRow:
    """A table in which each row is clear by itself under its header."""

    clock = ""
    changed = False
    total_steps: int | None = None

    def retell(self, sink: Sink) -> None:
        """Does nothing: no row ever changes."""

    def restart(self) -> None:
        """Does nothing: no row is kept."""

    def finish(self, sink: Sink) -> None:
        """Does nothing: no row is ever left open."""


class TableRows(ParsedRows[Fields]):
    """The rows of a table. A row is complete at the end of its line.

    A trainer rewrites the file when a metric appears that the header lacks (Stable-Baselines3, pandas). So a file that
    begins with a header and the first row of the file before is the same log, and all its rows come again. Any other
    file continues where the one before ended. Line numbers count within a file."""

    def __init__(self, parser: TableParser) -> None:
        super().__init__(parser, Records(parser.delimiter))
        self._table = parser
        self._first: dict[str, str] | None = None  # the cells of the first row that are not empty
        self._begun = False  # it is still unknown which of the two the file is
        self._headed = False

    @property
    def clock(self) -> str:  # type: ignore[override]
        return self._table.clock

    @property
    def total_steps(self) -> int | None:  # type: ignore[override]
        return self._table.total_steps

    @property
    def mark(self) -> str:  # type: ignore[override]
        """The first row, because many runs have the same header. Its empty columns do not matter."""
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
        """Announces that all rows come again, from the first."""
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
    """The cells with content. Numbers are normalised, because "1" may be rewritten as "1.0"."""
    cells = ((name, cell(text.strip()), text.strip()) for name, text in zip(header, texts, strict=False))
    return {name: text if value is None else repr(value) for name, value, text in cells if text and value == value}
