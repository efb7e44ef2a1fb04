"""Splits chunks of bytes into lines, for a whole file and for a file that still grows."""

from __future__ import annotations

MAX_LINE = 10 * 1024 * 1024
EXCERPT = 80


class Overlong(bytes):
    """Stands for a line above `MAX_LINE`: a NUL and its first bytes, so that no parser takes them for a line."""

    size: int


class Lines:
    """Consecutive lines without their newlines. `number` (1-based) and `offset` (bytes) belong to the first of them.

    `block`: all `count` lines as they stand in the source, with newlines between them. It is empty where one is
    overlong."""

    __slots__ = ("_lines", "block", "count", "number", "offset")

    def __init__(self, *, number: int, offset: int, lines: list[bytes] | None = None, block: bytes = b"") -> None:
        self.number = number
        self.offset = offset
        self.block = block
        # replacing a rare byte takes a quarter of the time of counting it
        self.count = len(block) - len(block.replace(b"\n", b"")) + 1 if lines is None else len(lines)
        self._lines = lines

    @property
    def lines(self) -> list[bytes]:
        if self._lines is None:
            self._lines = self.block.split(b"\n")
        return self._lines


class LineSplitter:
    """Cuts chunks at newlines, keeps the unfinished tail, and drops the bytes of lines above `MAX_LINE` as they
    come."""

    __slots__ = ("_fed", "_number", "_skipped", "_tail")

    def __init__(self) -> None:
        self._tail = bytearray()
        self._skipped = 0  # bytes of the overlong line that were dropped; `_tail` then holds its beginning
        self._number = 1
        self._fed = 0

    def feed(self, data: bytes) -> Lines:
        """The lines that `data` completes."""
        number, offset = self._number, self._fed - (self._skipped or len(self._tail))
        self._fed += len(data)
        if self._skipped or len(self._tail) + len(data) > MAX_LINE:
            return self._feed_long(data, number, offset)
        whole, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._tail += rest
            return Lines(lines=[], number=number, offset=offset)
        block = bytes(self._tail) + whole if self._tail else whole
        self._tail = bytearray(rest)
        batch = Lines(block=block, number=number, offset=offset)
        self._number += batch.count
        return batch

    def _feed_long(self, data: bytes, number: int, offset: int) -> Lines:
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
        tail, self._tail = bytes(self._tail), bytearray()
        if not self._skipped:
            return tail
        line = Overlong(b"\0" + tail)
        line.size, self._skipped = self._skipped, 0
        return line


def line_size(line: bytes) -> int:
    """The number of bytes of the line in the file, without its newline."""
    return line.size if isinstance(line, Overlong) else len(line)


class LinePlaces:
    """Line numbers and byte offsets within a batch, for line indices that are asked in rising order."""

    __slots__ = ("_at", "_batch", "_offset")

    def __init__(self, batch: Lines) -> None:
        self._batch = batch
        self._at = 0
        self._offset = batch.offset

    def of(self, index: int) -> tuple[int, int]:
        self._offset += sum(map(line_size, self._batch.lines[self._at : index])) + index - self._at
        self._at = index
        return self._batch.number + index, self._offset
