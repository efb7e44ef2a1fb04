"""Text logs whose first metrics come after any amount of other text: samples, start-up messages, prose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rldk.adapters.base import BaseAdapter
from rldk.adapters.source import HEAD_BYTES, File
from rldk.core.stream import BrokenStream, chunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 18  # fits the cache of a core: a larger one takes twice the time
CONTEXT = 16 * 1024  # bytes before a line of metrics that may belong to the same block or box
MAX_LINE = 1 << 20  # a longer line is no line of metrics
DIGEST = 48 * 1024  # bytes kept of lines that look like metrics and were not enough to tell the format
REACH = 24  # bytes after "ep" within which a number has to begin
_WORD = re.compile(rb"[Ee]p|[Ii]te")
_NUMBER = re.compile(
    rb"(?:[Ee]p(?:ochs?|isodes?|s)?|[Ii]ter(?:ations?)?)\b[^\w\n]{0,21}\d|[Ee]p[\w/ ]{0,12}[^\w\n]{1,12}\d"
)


def late(file: File, kinds: Iterable[type[BaseAdapter]]) -> File | None:
    """The file with a head that begins shortly before its first metrics, as far as one of `kinds` recognises it there;
    None when none does. Takes the time of one search through the file, in bounded memory."""
    kinds = [kind for kind in kinds if kind.marks.__func__ is not BaseAdapter.marks.__func__]  # type: ignore[attr-defined]
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


def _windows(file: File, kinds: list[type[BaseAdapter]]) -> Iterator[tuple[bytes, bytes]]:
    """(text around lines of metrics, these lines) all through a file, lines whole."""
    source = chunks(file, CHUNK)
    before, carry, ended = b"", b"", False
    while not ended:
        chunk, ended = _next(source)
        block = carry + chunk
        end = len(block) if ended else block.rfind(b"\n") + 1
        lines = _lines_at(block, _counts(block[:end]), kinds)
        if lines:
            first = block.find(lines[0])
            while len(block) - first < HEAD_BYTES and not ended:
                chunk, ended = _next(source)
                block += chunk
            start = max(0, len(before) + first - CONTEXT)
            yield _from_line((before + block)[start : start + HEAD_BYTES + CONTEXT]), b"\n".join(lines) + b"\n"
            end = max(end, block.rfind(b"\n") + 1)
        before = block[:end][-CONTEXT:]
        carry = block[end:] if len(block) - end <= MAX_LINE else b""


def _next(source: Iterator[bytes]) -> tuple[bytes, bool]:
    """The next chunk, and whether it is the last."""
    try:
        chunk = next(source, b"")
    except BrokenStream:
        chunk = b""
    return chunk, not chunk


def _counts(block: bytes) -> list[int]:
    """Where "ep" or "it" stand, small or with a capital, and a digit soon after them, as in "step 3", "Epoch: 3" and
    "Iter 3". Bytes are compared two at a time, then only what was found is looked at."""
    import numpy as np

    block += bytes(REACH + 1)
    small = np.uint16(0x20)  # "E" and "e" differ in this bit of the first byte
    words = [int.from_bytes(word, "little") for word in (b"ep", b"it")]
    found = []
    for offset in (0, 1):
        pairs = np.frombuffer(block, dtype="<u2", count=(len(block) - offset) // 2, offset=offset)
        pairs = pairs | small
        found.append(np.flatnonzero((pairs == words[0]) | (pairs == words[1])) * 2 + offset)
    places = np.concatenate(found)
    places = places[places < len(block) - REACH]
    data = np.frombuffer(block, dtype=np.uint8)
    places = places[_follow(data, places)]
    near = np.zeros(len(places), dtype=bool)
    for distance in range(2, REACH):
        near |= data[places + distance] - np.uint8(48) < 10
    counts: list[int] = np.sort(places[near]).tolist()
    return counts


def _follow(data: NDArray[np.uint8], places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether what follows these pairs can go on as one of the words: "e" after "it"; "o", "i", "s" or no letter."""
    import numpy as np

    third = data[places + 2]
    counted = data[places + 1] == ord("t")
    letter = ((third | 0x20) - np.uint8(ord("a"))) < 26
    step = ~letter | (third == ord("o")) | (third == ord("i")) | (third == ord("s"))
    follows: NDArray[np.bool_] = np.where(counted, third == ord("e"), step)
    return follows


def _lines_at(block: bytes, places: Iterable[int], kinds: list[type[BaseAdapter]]) -> list[bytes]:
    """The lines at these places that one of the formats says are metrics."""
    lines = []
    end = -1
    for place in places:
        if place < end or _NUMBER.match(block, place) is None:
            continue
        start = block.rfind(b"\n", 0, place) + 1
        end = block.find(b"\n", place)
        end = len(block) if end < 0 else end
        line = block[start : min(end, start + HEAD_BYTES)]
        if any(kind.marks(line) for kind in kinds):
            lines.append(line)
    return lines


def _from_line(text: bytes) -> bytes:
    """The text from the beginning of its second line on, as the first may be cut."""
    return text[text.find(b"\n") + 1 :]


def condensed(kept: bytes, kinds: Iterable[type[BaseAdapter]]) -> bytes:
    """What to keep of the beginning of a growing log that no format recognises yet: lines that look like metrics, and
    the last ones."""
    tail = kept[-CONTEXT:]
    tail = tail if len(kept) <= CONTEXT else _from_line(tail)
    older = kept[: len(kept) - len(tail)]
    lines = _lines_at(older, (found.start() for found in _WORD.finditer(older)), list(kinds))
    digest = b"".join(line + b"\n" for line in lines)[-DIGEST + CONTEXT :]
    return digest + tail
