"""Chooses lines of a text in which about every line has a count, because judging all of them takes too long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.adapters.counts import NUMBER, Kinds
from rldk.adapters.source import HEAD_BYTES

SLOTS = 1 << 15  # of the tables of kinds; two kinds in one slot count as one
KINDS = 2  # unjudged kinds to judge in each block, by how lines begin and as many by how they end
SPREAD = 2  # lines at even distances in each block
TAIL = 16  # times as many in the last block: the table that ends a text may be short
ALIKE = 128  # lines that begin as a line with metrics does, to keep with it
_WIDTH = 8  # bytes at the beginning and at the end of a line that tell its kind
_HIGH, _THREE = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x3030303030303030)
_BIT, _FOUR = np.uint64(0x1010101010101010), np.uint64(4)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio: Knuth, The Art of Computer Programming 3, section 6.4
_SHIFT = np.uint64(64 - SLOTS.bit_length() + 1)


class LineKinds:
    """Judges a few lines of each block of a text. The kind of a line is how it begins, or how it ends, whatever its
    digits are. The kinds with the most lines come first, each once, so that lines of metrics are found among other text
    that is about anything, and the first line of metrics is found after any amount of text that repeats itself."""

    __slots__ = ("_judged",)

    def __init__(self) -> None:
        self._judged = np.zeros((2, SLOTS), dtype=np.bool_)

    def marked_lines(
        self, text: bytes | bytearray, begin: int, end: int, kinds: Kinds, *, last: bool = False
    ) -> tuple[list[bytes], bool]:
        """Lines with metrics of `text[begin:end]`, and whether they are of a new kind. With lines of a new kind come
        those that begin in the same way."""
        starts, ends = _lines(text, begin, end)
        if not len(starts):
            return [], False
        heads, slots = _kinds_of(text, starts, ends)
        times = TAIL if last else 1
        chosen = set(np.linspace(0, len(starts) - 1, min(len(starts), SPREAD * times)).astype(np.intp).tolist())
        new: set[int] = set()
        for judged, of_lines in zip(self._judged, slots, strict=True):
            new.update(_new(judged, of_lines, KINDS * times))
        found = [i for i in sorted(chosen | new) if _is_marked(_line(text, starts[i], ends[i]), kinds)]
        if not new.isdisjoint(found):
            alike = np.isin(heads, heads[[i for i in found if i in new]])
            return [_line(text, starts[i], ends[i]) for i in np.flatnonzero(alike)[:ALIKE]], True
        return [_line(text, starts[i], ends[i]) for i in found], False


def _new(judged: NDArray[np.bool_], slots: NDArray[np.intp], most: int) -> list[int]:
    """A line of each of the kinds with the most lines among those that are not judged yet; they count as judged."""
    left = slots[~judged[slots]]
    if not len(left):
        return []
    counts = np.bincount(left)
    top = np.flatnonzero(counts)
    if len(top) > most:
        top = top[np.argpartition(counts[top], -most)[-most:]]
    judged[top] = True
    return [int(np.argmax(slots == slot)) for slot in top]


def _line(text: bytes | bytearray, start: int, end: int) -> bytes:
    return bytes(text[start : min(end, start + HEAD_BYTES)])


def _lines(text: bytes | bytearray, begin: int, end: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the lines of `text[begin:end]` begin and end."""
    data = np.frombuffer(text, dtype=np.uint8, count=end - begin, offset=begin)
    ends = np.flatnonzero(data == ord("\n")) + begin
    starts = np.concatenate(([begin], ends + 1)).astype(np.intp)
    ends = np.concatenate((ends, [end])).astype(np.intp)
    whole = ends > starts
    return starts[whole], ends[whole]


def _kinds_of(
    text: bytes | bytearray, starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> tuple[NDArray[np.uint64], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The beginning of each line, and the slots of each line in the tables of beginnings and of ends."""
    words = np.ndarray(shape=(max(1, len(text) - _WIDTH + 1),), dtype="<u8", buffer=text, strides=(1,))
    last = len(words) - 1
    heads = _without_digits(words[np.minimum(starts, last)])
    tails = _without_digits(words[np.clip(ends - _WIDTH, 0, last)])
    return heads, (_slots(heads), _slots(tails))


def _slots(words: NDArray[np.uint64]) -> NDArray[np.intp]:
    return ((words * _MIX) >> _SHIFT).astype(np.intp)


def _without_digits(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Eight bytes each, with one value for all digits (and for ":;<=>?", which stand beside them in ASCII)."""
    other = (words & _HIGH) ^ _THREE
    other |= other >> np.uint64(1)
    other |= other >> np.uint64(2)
    other &= _BIT
    return words & (_HIGH | (other - (other >> _FOUR)))


def _is_marked(line: bytes, kinds: Kinds) -> bool:
    counted = NUMBER.search(line) is not None
    able = [kind for kind in kinds if kind.landmark in line]
    return any((counted or (kind.uncounted and kind.uncounted in line)) and kind.marks(line) for kind in able)
