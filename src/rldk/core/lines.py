"""Lines out of chunks of bytes: one splitter for a whole file and for a file that still grows."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LINE = 10 * 1024 * 1024
EXCERPT = 80


class Overlong(bytes):
    """Stands for a line above `MAX_LINE`: its first bytes after a NUL, so that no parser takes them for a line."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Consecutive lines without their newlines; `number` (1-based) and `offset` (bytes) of the first of them."""

    lines: list[bytes]
    number: int
    offset: int


class LineSplitter:
    """Cuts chunks at newlines, keeps the unfinished tail, drops the bytes of lines above `MAX_LINE` as they come."""

    __slots__ = ("_fed", "_number", "_skipped", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._skipped = 0  # bytes of the overlong line already dropped; `_tail` then holds its beginning
        self._number = 1
        self._fed = 0

    def feed(self, data: bytes) -> Lines:
        """The lines that `data` completes."""
        number, offset = self._number, self._fed - (self._skipped or len(self._tail))
        self._fed += len(data)
        lines = data.split(b"\n")
        self._grow(lines[0])
        if len(lines) == 1:
            return Lines(lines=[], number=number, offset=offset)
        lines[0] = self._take()
        self._grow(lines.pop())
        self._number += len(lines)
        return Lines(lines=lines, number=number, offset=offset)

    def finish(self) -> Lines:
        """The last line if it lacks its newline, else no line."""
        offset = self._fed - (self._skipped or len(self._tail))
        lines = [self._take()] if self._tail or self._skipped else []
        return Lines(lines=lines, number=self._number, offset=offset)

    def _grow(self, data: bytes) -> None:
        if self._skipped:
            self._skipped += len(data)
        elif len(self._tail) + len(data) > MAX_LINE:
            self._skipped = len(self._tail) + len(data)
            self._tail = (self._tail + data[:EXCERPT])[:EXCERPT]
        else:
            self._tail += data

    def _take(self) -> bytes:
        line = self._tail
        if self._skipped:
            line = Overlong(b"\0" + line)
            line.size = self._skipped
            self._skipped = 0
        self._tail = b""
        return line


def line_size(line: bytes) -> int:
    """Bytes the line has in the file, without its newline."""
    return line.size if isinstance(line, Overlong) else len(line)
