"""CSV and TSV as records with line numbers and offsets; one bad line costs that line only."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import NamedTuple

from rldk.core.lines import Lines, LineSplitter, Overlong, line_size
from rldk.core.records import to_number
from rldk.core.stream import BrokenStream, Openable, chunks

MAX_JOINED = 1000  # lines of one quoted field, such as a prompt
MAX_JOINED_CHARS = 1 << 20
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


def records(source: Openable, delimiter: str = ",") -> Iterator[Fields]:
    """The records of a file, blank lines left out; the first one is the header.

    A quoted field may run over lines. Where that would make a record of another width than the header's, or swallow
    whole rows, the lines are given one by one, the first of them with a problem."""
    width = 0
    waiting: list[_Line] = []
    size = 0
    for line in _lines(source):
        if not waiting and not line.opens:
            if line.text.strip() or line.problem:
                found = _record(line, delimiter)
                width = width or len(found.values)
                yield found
            continue
        waiting.append(line)
        size += len(line.text)
        closed = len(waiting) > 1 and line.opens
        if closed or len(waiting) > MAX_JOINED or size > MAX_JOINED_CHARS:
            joined = _joined(waiting, delimiter, width) if closed else None
            if joined is not None:
                yield joined
            else:
                yield from _apart(waiting, delimiter)
            waiting, size = [], 0
    yield from _apart(waiting, delimiter)


def _joined(lines: list[_Line], delimiter: str, width: int) -> Fields | None:
    """The record of these lines; None when it is of another width, or swallows lines that are rows of numbers."""
    inner = (line.text.split(delimiter) for line in lines[1:-1])
    if any(len(fields) == width and all(f.strip() and cell(f.strip()) is not None for f in fields) for fields in inner):
        return None
    text = "\n".join(line.text for line in lines)
    found = _record(lines[0]._replace(text=text, whole=lines[-1].whole), delimiter)
    return found if len(found.values) == (width or len(found.values)) else None


def _apart(lines: list[_Line], delimiter: str) -> Iterator[Fields]:
    """The lines after an opening quote that is never closed."""
    for i, line in enumerate(lines):
        if line.text.strip():
            yield _record(line if i else line._replace(problem="a quote that is never closed"), delimiter)


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


def _lines(source: Openable) -> Iterator[_Line]:
    splitter = LineSplitter()
    try:
        for chunk in chunks(source):
            yield from _decoded(splitter.feed(chunk), whole=True)
    except BrokenStream as error:
        end = splitter.feed(b"")
        yield _Line(end.number, end.offset, "", whole=False, problem=f"the file breaks off here: {error}")
        return
    yield from _decoded(splitter.finish(), whole=False)


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
