"""Reads CSV and TSV as records with line numbers and offsets. A bad line costs only that line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from rldk.core.lines import Lines, LineSplitter, Overlong, line_size
from rldk.core.records import to_number
from rldk.core.stream import BrokenStream, Openable, chunks
from rldk.core.text import later

MAX_JOINED = 1000  # lines of one quoted field, such as a prompt
MAX_JOINED_CHARS = 1 << 20
PIECE = 128 << 10  # bytes that become records together: few enough to stay in a processor's cache
SPACES = " "  # the delimiter of columns that are aligned with any number of spaces
_DELIMITERS = (",", "\t", ";")
_DECIMAL = later(r" ?[-+]?\d+,\d+(?:[eE][-+]?\d+)? ?")  # in a table whose columns semicolons separate
_THOUSANDS = later(r" ?[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)? ?")  # quoted, in a table whose columns commas separate
_BOOLEANS = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}


class Fields(NamedTuple):
    """One record. `whole`: whether its end is known; False for a last one without newline. `problem`: why it is
    unreadable."""

    line: int
    offset: int
    values: list[str]
    whole: bool = True
    problem: str = ""


class PlainRecords(NamedTuple):
    """Many plain records at once: lines without quotes, comments and other special characters."""

    lines: Lines
    delimiter: str

    def records(self) -> Iterator[Fields]:
        """The records one by one, without blank lines."""
        return _plain(self.lines, self.delimiter)


class _Line(NamedTuple):
    number: int
    offset: int
    text: str
    whole: bool
    problem: str = ""

    @property
    def opens(self) -> bool:
        """Whether a quoted field begins or ends on this line, but not both."""
        return self.text.count('"') % 2 == 1


def records(source: Openable, delimiter: str | None = None) -> Iterator[Fields]:
    """The records of a file without blank lines; the first one is the header."""
    for piece in blocks(source, delimiter):
        if isinstance(piece, PlainRecords):
            yield from piece.records()
        else:
            yield piece


def blocks(source: Openable, delimiter: str | None = None) -> Iterator[Fields | PlainRecords]:
    """The same, with plain records many at once."""
    cutter = Records(delimiter)
    try:
        for chunk in chunks(source):
            for start in range(0, len(chunk), PIECE):
                yield from cutter.feed_blocks(chunk[start : start + PIECE])
    except BrokenStream as error:
        yield from cutter.finish(f"the file breaks off here: {error}")
        return
    yield from cutter.finish()


def beginning(head: bytes, count: int) -> list[Fields]:
    """The first records of a file with this head; the last one may be cut."""
    cutter = Records()
    return list(islice(chain(cutter.feed(head), cutter.finish()), count))


class Records:
    """Cuts bytes that arrive over time into records. Without a `delimiter` the first line decides it.

    Without a `delimiter`, lines that begin with # are comments. The last comment before the first row is the header if
    it has a name for each number of that row. A quoted field may span lines. When the record would then have another
    width than the header, or swallow complete rows, the lines come one by one, and the first of them has a problem."""

    def __init__(self, delimiter: str | None = None) -> None:
        self._delimiter = delimiter
        self._comments = delimiter is None
        self._comment: _Line | None = None
        self._splitter = LineSplitter()
        self._width = 0
        self._waiting: list[_Line] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Fields]:
        """The records that `data` completes."""
        for piece in self.feed_blocks(data):
            if isinstance(piece, PlainRecords):
                yield from piece.records()
            else:
                yield piece

    def feed_blocks(self, data: bytes) -> Iterator[Fields | PlainRecords]:
        """The same, with plain records many at once."""
        batch = self._splitter.feed(data)
        if batch.block and self._is_plain(batch.block):  # an overlong line leaves no block
            yield PlainRecords(batch, self._delimiter or ",")
            return
        for line in _decoded(batch, whole=True):
            yield from self._take(line)

    def _is_plain(self, block: bytes) -> bool:
        """Whether each line of this block is blank or a plain record, without quotes or other special characters."""
        settled = self._width and self._delimiter not in (None, SPACES) and not self._waiting and self._comment is None
        return bool(settled) and block.isascii() and not any(mark in block for mark in (b'"', b"#", b"\0"))

    def finish(self, broken: str = "") -> Iterator[Fields]:
        """The rest: a last line without newline, an open quote, and a mark where the source broke off."""
        end = self._splitter.finish()
        if broken:
            yield from self._take(_Line(end.number, end.offset, "", whole=False, problem=broken))
        else:
            for line in _decoded(end, whole=False):
                yield from self._take(line)
        yield from self._apart()

    def _take(self, line: _Line) -> Iterator[Fields]:
        if self._comments and line.text.startswith("#") and not self._waiting:
            self._comment = line if not self._width else None
            return
        if self._comment is not None and line.text.strip():
            yield from self._named(self._comment, line)
            self._comment = None
        if not self._waiting and not line.opens:
            if line.text.strip() or line.problem:
                found = _record(line, self._comma(line))
                self._width = self._width or len(found.values)
                yield _without_index(found, self._width) if self._delimiter == SPACES else found
            return
        comma = self._comma(line)
        swallowed = bool(self._waiting) and not line.opens and _is_row(line.text, comma, self._width)
        self._waiting.append(line)
        self._size += len(line.text)
        closed = len(self._waiting) > 1 and line.opens
        joined = _joined(self._waiting, comma, self._width) if closed else None
        if joined is not None:
            self._waiting, self._size = [], 0
            self._width = self._width or len(joined.values)
            yield joined
        elif closed or swallowed or len(self._waiting) > MAX_JOINED or self._size > MAX_JOINED_CHARS:
            yield from self._apart()

    def _named(self, comment: _Line, row: _Line) -> Iterator[Fields]:
        """The comment as a header, if it fits this row."""
        comma = delimiter_of(row.text)
        header = _record(comment._replace(text=comment.text.lstrip("# ")), comma)
        cells = _record(row, comma).values
        numbers = all(cell(text.strip()) is not None for text in cells)
        if numbers and len(header.values) == len(cells) and not any(cell(name.strip()) for name in header.values):
            self._delimiter, self._width = comma, len(cells)
            yield header

    def _comma(self, line: _Line) -> str:
        if self._delimiter is None:
            self._delimiter = delimiter_of(line.text)
        return self._delimiter

    def _apart(self) -> Iterator[Fields]:
        """The lines after an opening quote that is never closed."""
        lines, self._waiting, self._size = self._waiting, [], 0
        for i, line in enumerate(lines):
            if line.text.strip():
                yield _record(
                    line if i else line._replace(problem="a quote is opened and never closed"), self._comma(line)
                )


def delimiter_of(line: str) -> str:
    """The most frequent of comma, tab and semicolon in the line; spaces when it has none of them."""
    most = max(_DELIMITERS, key=line.count)
    return most if most in line or len(line.split()) < 2 else SPACES


def _without_index(found: Fields, width: int) -> Fields:
    """The record without the row number in front, which has no name in the header of a printed DataFrame."""
    indexed = len(found.values) == width + 1 and found.values[0].isdigit()
    return found._replace(values=found.values[1:]) if indexed else found


def split(text: str, delimiter: str) -> list[str]:
    """The fields of a line without quotes. Between semicolons a decimal comma becomes a point."""
    if delimiter == SPACES:
        return text.split()
    fields = text.split(delimiter)
    if delimiter == ";" and "," in text:
        return [with_point(field) for field in fields]
    return fields


def with_point(field: str) -> str:
    """The field, a number with a decimal comma with a point."""
    return field.replace(",", ".") if _DECIMAL.fullmatch(field) else field


def _is_row(text: str, delimiter: str, width: int) -> bool:
    """Whether the line alone is a complete row of numbers and so belongs to no quoted text."""
    fields = split(text, delimiter)
    return len(fields) == width and all(f.strip() and cell(f.strip()) is not None for f in fields)


def _joined(lines: list[_Line], delimiter: str, width: int) -> Fields | None:
    """The record of these lines; None when it is of another width."""
    text = "\n".join(line.text for line in lines)
    found = _record(lines[0]._replace(text=text, whole=lines[-1].whole), delimiter)
    return found if len(found.values) == (width or len(found.values)) else None


def _record(line: _Line, delimiter: str) -> Fields:
    number, offset, text, whole, problem = line
    if problem:
        return Fields(number, offset, [text], whole, problem)
    if '"' not in text:
        return Fields(number, offset, split(text, delimiter), whole)
    try:
        values = next(csv.reader([text], delimiter=delimiter)) or [""]
        plain = [v.replace(",", "") if delimiter == "," and _THOUSANDS.fullmatch(v) else v for v in values]
        return Fields(number, offset, plain, whole)
    except (csv.Error, StopIteration) as error:
        return Fields(number, offset, [text], whole, str(error) or "no field")


def _plain(batch: Lines, delimiter: str) -> Iterator[Fields]:
    offset = batch.offset
    for number, line in enumerate(batch.block.decode("ascii").split("\n"), start=batch.number):
        text = line.rstrip("\r")
        if text and not text.isspace():
            yield Fields(number, offset, split(text, delimiter))
        offset += len(line) + 1


def _decoded(batch: Lines, *, whole: bool) -> Iterator[_Line]:
    offset = batch.offset
    for i, line in enumerate(batch.lines):
        text = line.decode("utf-8", "replace").lstrip("\0\ufeff").rstrip("\r")
        problem = "the line is longer than 10 MB" if isinstance(line, Overlong) else ""
        yield _Line(batch.number + i, offset, text, whole, problem)
        offset += line_size(line) + 1


def cell(text: str) -> float | None:
    """The number in a cell. "nan" and "inf" count as stated, booleans become 1 and 0, empty cells and texts None."""
    return _BOOLEANS[text] if text in _BOOLEANS else to_number(text) if text else None
