"""Text logs whose first metrics come after any amount of other text: samples, start-up messages, prose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from rldk.adapters.base import BaseAdapter
from rldk.adapters.counts import NUMBER, Kinds, console_kinds, marked_lines, numbered_lines
from rldk.adapters.source import HEAD_BYTES, File
from rldk.core.stream import unreadable

CHUNK = 1 << 20  # a smaller one takes twice the time, a larger one more memory
CONTEXT = 16 * 1024  # bytes before a line of metrics that may belong to the same block or box
MAX_LINE = 1 << 20  # a longer line is no line of metrics
DIGEST = 48 * 1024  # bytes kept of lines that look like metrics and were not enough to tell the format


def find_late_start(file: File, kinds: Iterable[type[BaseAdapter]]) -> File | None:
    """The file with a head that begins shortly before its first metrics, as far as one of `kinds` recognises it there;
    None when none does. Takes the time of one search through the file, in bounded memory."""
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
    """(text around lines of metrics, these lines) all through a file, lines whole."""
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
    """Reads `wanted` bytes after the first `size` ones of `text`: how many it has then, and whether these are all."""
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
    """The text from the beginning of its second line on, as the first may be cut."""
    return text[text.find(b"\n") + 1 :]


def condense(kept: bytes, kinds: Iterable[type[BaseAdapter]]) -> bytes:
    """What to keep of the beginning of a growing log that no format recognises yet: lines that look like metrics, and
    the last ones."""
    tail = kept[-CONTEXT:]
    tail = tail if len(kept) <= CONTEXT else _from_line(tail)
    older = kept[: len(kept) - len(tail)]
    lines = marked_lines(older, console_kinds(kinds))
    digest = b"".join(line + b"\n" for line in lines)[-DIGEST + CONTEXT :]
    return digest + tail
