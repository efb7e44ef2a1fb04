"""Finds the first metrics of a text log that begins with other text: samples, start-up messages, prose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from rldk.adapters.base import BaseAdapter
from rldk.adapters.counts import NUMBER, Kinds, console_kinds, marked_lines, numbered_lines
from rldk.adapters.source import HEAD_BYTES, File
from rldk.core.stream import unreadable

CHUNK = 1 << 20  # a smaller one takes twice the time, a larger one more memory
CONTEXT = 16 * 1024  # bytes before a line of metrics that may belong to the same block or box
MAX_LINE = 1 << 20  # a longer line holds no metrics
MAX_NEW = 8  # tries for a line of metrics that is unlike all lines before it
ENOUGH = 64  # lines: of fewer, picked from prose, the numbers may rise by chance
_ODD = 0xAAAAAAAA  # bits of the powers of two that are no powers of four
DENSE_PART = 16 * 1024  # bytes that show whether a text goes on having a count in about every line
DIGEST = 48 * 1024  # bytes to keep of lines that look like metrics while the format is still unknown


def find_late_start(file: File, kinds: Iterable[type[BaseAdapter]]) -> File | None:
    """The file with a head that begins shortly before its first metrics, if one of `kinds` recognises it there; else
    None. The function searches the file once, in bounded memory."""
    kinds = console_kinds(kinds)
    if not file.is_text or file.size <= len(file.head):
        return None
    digest = b""
    tries = tries_of_new = 0
    for window in _windows(file, kinds):
        own = b"".join(line + b"\n" for line in window.lines)
        digest = (digest + own)[-DIGEST // 3 if window.dense else -DIGEST :]
        if not (window.new and tries_of_new <= MAX_NEW) and not _is_turn(tries, window.dense):
            continue
        heads = [window.text, own if window.new else digest]
        for head in heads if not window.dense or heads[1].count(b"\n") >= ENOUGH else heads[:1]:
            found = File.beginning(head, file.path)
            if any(kind.sniff(found) for kind in kinds):
                return found
    found = File.beginning(digest, file.path)
    return found if digest and any(kind.sniff(found) for kind in kinds) else None


def _is_turn(tries: int, dense: bool) -> bool:
    """Whether to sniff now, because that is dear: after 1, 2, 4, 8 ... windows, and after 1, 4, 16 ... dense ones."""
    return not tries & (tries - 1) and not (dense and tries & _ODD)


class _Window(NamedTuple):
    """The text around lines of metrics, and these lines. `new`: they are unlike all lines before them. `dense`: they
    are a sample."""

    text: bytes
    lines: list[bytes]
    new: bool
    dense: bool


def _windows(file: File, kinds: Kinds) -> Iterator[_Window]:
    """Finds lines of metrics through the whole file; no line is cut."""
    search = _Search(kinds)
    text = bytearray(
        CONTEXT + MAX_LINE + CHUNK + HEAD_BYTES
    )  # new memory for each chunk takes longer than to search it
    with file.open() as stream:
        begin = size = 0
        ended = False
        while not ended:
            size, ended = _fill(stream, text, size, CHUNK)
            end = size if ended else text.rfind(b"\n", begin, size) + 1 or begin
            lines, new = search.lines(text, begin, end, last=ended)
            if lines:
                first = text.find(lines[0], begin)
                before, after = (0, CONTEXT // 2) if search.dense else (CONTEXT, HEAD_BYTES)
                size, ended = _fill(stream, text, size, first + after - size)
                start = max(0, first - before)
                around = bytes(text[start : min(size, first + after)])
                yield _Window(_from_line(around) if before else around, lines, new, search.dense)
                end = max(end, text.rfind(b"\n", 0, size) + 1)
            if size - end > MAX_LINE:
                end = size
            kept = max(0, end - CONTEXT)
            text[: size - kept] = text[kept:size]
            begin, size = end - kept, size - kept


class _Search:
    """Searches the blocks of a text for lines of metrics. `dense`: the last block has a count in about every line, so
    that only some of its lines were judged."""

    def __init__(self, kinds: Kinds) -> None:
        from rldk.adapters.line_kinds import LineKinds
        from rldk.adapters.sieve import Sieve

        self.dense = False
        self._kinds = kinds
        self._sieve, self._line_kinds = Sieve(NUMBER), LineKinds()

    def lines(self, text: bytearray, begin: int, end: int, *, last: bool) -> tuple[list[bytes], bool]:
        """Lines of metrics in `text[begin:end]`, and whether they are unlike all lines before them."""
        part = min(end, begin + DENSE_PART) if self.dense else end
        places = self._sieve.places(text, begin, part)
        if part < end and places is not None:
            places = self._sieve.places(text, begin, end)
        self.dense = places is None and not (last and begin == 0)
        if self.dense:
            return self._line_kinds.marked_lines(text, begin, end, self._kinds, last=last)
        some = bytes(text[begin:end]) if places is None else numbered_lines(text, places, end)
        return marked_lines(some, self._kinds), False


def _fill(stream: BinaryIO, text: bytearray, size: int, wanted: int) -> tuple[int, bool]:
    """Reads `wanted` bytes after the first `size` bytes of `text`; the new size, and whether the file has ended."""
    end = size + wanted
    with memoryview(text) as view:
        while size < end:
            try:
                count = stream.readinto1(view[size:end])  # type: ignore[attr-defined]
            except unreadable():
                count = 0
            if not count:
                return size, True
            size += count
    return size, False


def _from_line(text: bytes) -> bytes:
    """The text from its second line on, because the first line may be cut."""
    return text[text.find(b"\n") + 1 :]


def condense(kept: bytes, kinds: Iterable[type[BaseAdapter]]) -> bytes:
    """The lines to keep of a growing log that no format recognises yet: the last lines, and those that look like
    metrics."""
    tail = kept[-CONTEXT:]
    tail = tail if len(kept) <= CONTEXT else _from_line(tail)
    older = kept[: len(kept) - len(tail)]
    lines = marked_lines(older, console_kinds(kinds))
    digest = b"".join(line + b"\n" for line in lines)[-DIGEST + CONTEXT :]
    return digest + tail
