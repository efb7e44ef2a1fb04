"""Finds the first metrics of a text log that begins with other text: samples, start-up messages, prose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from rldk.adapters.base import BaseAdapter
from rldk.adapters.counts import NUMBER, Kinds, console_kinds, marked_lines, numbered_lines
from rldk.adapters.source import HEAD_BYTES, File
from rldk.core.stream import unreadable

CHUNK = 1 << 20  # a smaller one takes twice the time, a larger one more memory
CONTEXT = 16 * 1024  # bytes before a line of metrics that may belong to the same block or box
MAX_LINE = 1 << 20  # a longer line holds no metrics
DIGEST = 48 * 1024  # bytes to keep of lines that look like metrics while the format is still unknown


def find_late_start(file: File, kinds: Iterable[type[BaseAdapter]]) -> File | None:
    """The file with a head that begins shortly before its first metrics, if one of `kinds` recognises it there; else
    None. The function searches the file once, in bounded memory."""
    kinds = console_kinds(kinds)
    if not file.is_text or file.size <= len(file.head):
        return None
    digest = b""
    tries = 0
    for window, marked in _windows(file, kinds):
        digest = (digest + marked)[-DIGEST:]
        tries += 1
        if tries & (tries - 1):  # sniffing is dear: after 1, 2, 4, 8 ... windows with a line of metrics
            continue
        for head in (window, digest):
            found = File.beginning(head, file.path)
            if any(kind.sniff(found) for kind in kinds):
                return found
    found = File.beginning(digest, file.path)
    return found if digest and any(kind.sniff(found) for kind in kinds) else None


def _windows(file: File, kinds: Kinds) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of the text around lines of metrics and these lines, through the whole file; no line is cut."""
    from rldk.adapters.sieve import Sieve

    sieve = Sieve(NUMBER)
    text = bytearray(
        CONTEXT + MAX_LINE + CHUNK + HEAD_BYTES
    )  # new memory for each chunk takes longer than to search it
    with file.open() as stream:
        begin = size = 0
        ended = False
        while not ended:
            size, ended = _fill(stream, text, size, CHUNK)
            end = size if ended else text.rfind(b"\n", begin, size) + 1 or begin
            places = sieve.places(text, begin, end)
            lines = marked_lines(
                bytes(text[begin:end]) if places is None else numbered_lines(text, places, size), kinds
            )
            if lines:
                first = text.find(lines[0], begin)
                size, ended = _fill(stream, text, size, first + HEAD_BYTES - size)
                start = max(0, first - CONTEXT)
                window = bytes(text[start : min(size, start + HEAD_BYTES + CONTEXT)])
                yield _from_line(window), b"\n".join(lines) + b"\n"
                end = max(end, text.rfind(b"\n", 0, size) + 1)
            if size - end > MAX_LINE:
                end = size
            kept = max(0, end - CONTEXT)
            text[: size - kept] = text[kept:size]
            begin, size = end - kept, size - kept


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
