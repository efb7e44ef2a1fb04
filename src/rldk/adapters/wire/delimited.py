"""CSV and TSV as records with line numbers and offsets; one bad line costs that line only."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from rldk.core.lines import Lines, LineSplitter, Overlong, line_size
from rldk.core.records import to_number
from rldk.core.stream import BrokenStream, Openable, chunks

MAX_JOINED = 1000  # lines of one quoted field, such as a prompt
MAX_JOINED_CHARS = 1 << 20
_DELIMITERS = (",", "\t", ";")
_BOOLEANS = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}


class Fields(NamedTuple):
    """One record. `whole`: its end was seen; False for a last one without newline. `problem`: why it is unreadable."""

    line: int
    offset: int
    values: list[str]
    whole: bool = True
    problem: str = ""


class _Line(NamedTuple):
    number: int
    offset: int
    text: str
    whole: bool
    problem: str = ""

    @property
    def opens(self) -> bool:
        """Whether a quoted field begins or ends here and does not do both."""
        return self.text.count('"') % 2 == 1


def records(source: Openable, delimiter: str | None = None) -> Iterator[Fields]:
    """The records of a file, blank lines left out; the first one is the header."""
    cutter = Records(delimiter)
    try:
        for chunk in chunks(source):
            yield from cutter.feed(chunk)
    except BrokenStream as error:
        yield from cutter.finish(f"the file breaks off here: {error}")
        return
    yield from cutter.finish()


def beginning(head: bytes, count: int) -> list[Fields]:
    """The first records of a file that begins so; the last one may be cut."""
    cutter = Records()
    return list(islice(chain(cutter.feed(head), cutter.finish()), count))


class Records:
    """Records out of bytes that arrive over time; without a `delimiter` the first line tells it.

    A quoted field may run over lines. Where that would make a record of another width than the header's, or swallow
    whole rows, the lines are given one by one, the first of them with a problem."""

    def __init__(self, delimiter: str | None = None) -> None:
        self._delimiter = delimiter
        self._splitter = LineSplitter()
        self._width = 0
        self._waiting: list[_Line] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Fields]:
        """The records that `data` completes."""
        for line in _decoded(self._splitter.feed(data), whole=True):
            yield from self._take(line)

    def finish(self, broken: str = "") -> Iterator[Fields]:
        """What is left: a last line without its newline, an open quote, and where the source broke off, if it did."""
        end = self._splitter.finish()
        if broken:
            yield from self._take(_Line(end.number, end.offset, "", whole=False, problem=broken))
        else:
            for line in _decoded(end, whole=False):
                yield from self._take(line)
        yield from self._apart()

    def _take(self, line: _Line) -> Iterator[Fields]:
        if not self._waiting and not line.opens:
            if line.text.strip() or line.problem:
                found = _record(line, self._comma(line))
                self._width = self._width or len(found.values)
                yield found
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

    def _comma(self, line: _Line) -> str:
        if self._delimiter is None:
            self._delimiter = delimiter_of(line.text)
        return self._delimiter

    def _apart(self) -> Iterator[Fields]:
        """The lines after an opening quote that is never closed."""
        lines, self._waiting, self._size = self._waiting, [], 0
        for i, line in enumerate(lines):
            if line.text.strip():
                yield _record(line if i else line._replace(problem="a quote that is never closed"), self._comma(line))


def delimiter_of(line: str) -> str:
    """The one of comma, tab and semicolon that the line has most of."""
    return max(_DELIMITERS, key=line.count)


def _is_row(text: str, delimiter: str, width: int) -> bool:
    """The line alone is a whole row of numbers: it belongs to no quoted text."""
    fields = text.split(delimiter)
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
        return Fields(number, offset, text.split(delimiter), whole)
    try:
        return Fields(number, offset, next(csv.reader([text], delimiter=delimiter)) or [""], whole)
    except (csv.Error, StopIteration) as error:
        return Fields(number, offset, [text], whole, str(error) or "no field")


def _decoded(batch: Lines, *, whole: bool) -> Iterator[_Line]:
    offset = batch.offset
    for i, line in enumerate(batch.lines):
        text = line.decode("utf-8", "replace").lstrip("\0\ufeff").rstrip("\r")
        problem = "longer than 10 MB" if isinstance(line, Overlong) else ""
        yield _Line(batch.number + i, offset, text, whole, problem)
        offset += line_size(line) + 1


def cell(text: str) -> float | None:
    """The number in a cell: "nan" and "inf" are stated, booleans 1 and 0, empty and text None."""
    return _BOOLEANS[text] if text in _BOOLEANS else to_number(text) if text else None
