"""Finds where in a block of text a count may stand ("step 3", "Epoch: 3", "Iter 3"), with whole arrays of bytes."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from rldk.core.text import later

CELL = 8  # bytes that are compared as one number
REACH = 4  # number of cells after the word in which its digit can stand: at most 30 bytes after the second letter
MANY = 128  # with one place in so many bytes the words stand in about every line, and places gain nothing


class Sieve:
    """Finds places of `number`, a word and then a digit. It keeps its arrays from block to block, because allocating
    them takes as long as filling them."""

    __slots__ = ("_digits", "_e", "_number", "_p", "_small", "_t")

    def __init__(self, number: re.Pattern[bytes]) -> None:
        self._number = number
        self._grow(0)

    def places(self, text: bytes | bytearray, begin: int, end: int) -> list[int] | None:
        """Every place in `text[begin:end]` where `number` may begin, or one byte after it; None when there are too many
        to be useful."""
        whole = (end - begin) // CELL * CELL
        if whole > len(self._small):
            self._grow(whole)
        data = np.frombuffer(text, dtype=np.uint8, count=end - begin, offset=begin)
        words, near = self._look(data[:whole])
        cells = np.flatnonzero(near)
        at = np.flatnonzero(words.reshape(-1, CELL)[cells])
        found = _fit(data, cells[at // CELL] * CELL + at % CELL) + begin
        if len(found) * MANY > end - begin:
            return None
        rest = max(begin, begin + whole - 1)
        return [*found.tolist(), *(m.start() for m in self._number.finditer(text, rest, end))]

    def _look(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Two masks: where "ep" and "te" begin, and which cells hold one of them with a digit soon after it."""
        n = len(data)
        small = self._small[:n]
        digits, e, p, t = (array[:n] for array in (self._digits, self._e, self._p, self._t))
        np.bitwise_or(data, np.uint8(0x20), out=small)
        np.equal(small, np.uint8(ord("e")), out=e)
        np.equal(small, np.uint8(ord("p")), out=p)
        np.equal(small, np.uint8(ord("t")), out=t)
        np.logical_and(e[:-1], p[1:], out=p[:-1])
        np.logical_and(t[:-1], e[1:], out=t[:-1])
        np.logical_or(p, t, out=p)
        np.subtract(small, np.uint8(ord("0")), out=small)
        np.less(small, np.uint8(10), out=digits)
        after = digits.view(np.uint64) != 0
        near = after.copy()
        for cells in range(1, REACH + 1):
            near[:-cells] |= after[cells:]
        near[-REACH:] = True  # the digit may stand beyond the block
        near &= p.view(np.uint64) != 0
        return p, near

    def _grow(self, size: int) -> None:
        self._small = np.empty(size, dtype=np.uint8)
        self._digits, self._e, self._p, self._t = (np.empty(size, dtype=np.bool_) for _ in range(4))


def _fit(data: NDArray[np.uint8], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """The places where "iter", "epoch", "episode", "eps" or a word that ends in "ep" may be."""
    before, after = data[np.maximum(places - 1, 0)], data[np.minimum(places + 2, len(data) - 1)]
    counted = (data[places] | 0x20) == ord("t")
    step = ~(((after | 0x20) - np.uint8(ord("a"))) < 26) | np.isin(after, _AFTER_EP)
    fit: NDArray[np.intp] = places[np.where(counted, ((before | 0x20) == ord("i")) & (after == ord("r")), step)]
    return fit


# the counting words of `wire.pairs`, and "number", "count" and "array", which may follow them; long words by their end
_WORDS = (
    *("it", "itr", "t", "update", "updates", "batch", "batches", "rollout", "rollouts", "round"),
    *("rounds", "frame", "frames", "game", "games", "trial", "trials", "number", "num", "no", "count", "array"),
    *("ep", "eps", "teration", "erations", "neration"),
)
_ENDINGS = (
    "step",
    "steps",
    "episode",
    "episodes",
    "epoch",
    "epochs",
    "iter",
    "iters",
)  # also of "timestep", "stepIter"
_BARE = later(rb"\d{1,18}[:)\]]?(?:\x1b| +[A-Za-z\x1b])")  # a line begins with a number
_RATIO = later(rb"\d{1,18} ?/")
_OTHER = later(rb"pid=\d[^)\n]{0,80}\) ?\[?\d|\x1b")  # a prefix or an escape hides where the line begins
MAX_GAP = 64  # bytes between a word and its number
SIZE = 8  # letters of a word to compare


def counted_places(text: bytes) -> list[int]:
    """A place in each line that states a count: a number after a word that counts, in brackets before a slash, or at
    the beginning of the line. The result misses no such line, but may contain others."""
    data = np.frombuffer(text, dtype=np.uint8)
    digits = (data - np.uint8(ord("0"))) < 10
    digits[1:] &= ~digits[:-1]
    starts = np.flatnonzero(digits)
    last, far = _words_before(data, starts)
    before = data[np.maximum(last, 0)]
    begins = (last < 0) | (before == ord("\n"))
    behind = data[np.maximum(starts - 1, 0)]
    opened = (behind == ord("[")) | (behind == ord("("))
    sure = far | _counts(data, last)
    found = starts[sure].tolist()
    found += [place for place in _alone(data, starts[begins & ~sure]).tolist() if _BARE.match(text, place)]
    found += [place for place in starts[opened & ~sure].tolist() if _RATIO.match(text, place)]
    found += [place.start() for place in _OTHER.finditer(text)]
    return sorted(found)


def _alone(data: NDArray[np.uint8], starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """The numbers among these starts after which `_BARE` can continue."""
    ends = starts.copy()
    for _ in range(18):
        ends = np.minimum(ends + ((data[ends] - np.uint8(ord("0"))) < 10), len(data) - 1)
    alone: NDArray[np.intp] = starts[_AFTER[data[ends]]]
    return alone


def _words_before(data: NDArray[np.uint8], starts: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each place, where the word before it ends (-1 without a word), and whether that is beyond `MAX_GAP`."""
    last = starts - 1
    open_ = np.arange(len(starts))
    for _ in range(MAX_GAP):
        open_ = open_[(last[open_] >= 0) & _BETWEEN[data[last[open_]]]]
        if not len(open_):
            break
        last[open_] -= 1
    far = np.zeros(len(starts), dtype=np.bool_)
    far[open_] = True
    return last, far


def _counts(data: NDArray[np.uint8], last: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether each word that ends at one of these places is a word that counts."""
    maybe = np.flatnonzero((last >= 0) & _LASTS[data[last], data[np.maximum(last - 1, 0)]])
    found = np.zeros(len(last), dtype=np.bool_)
    if not len(maybe):
        return found
    places = last[maybe]
    key = np.zeros(len(places), dtype=np.uint64)
    inside = np.ones(len(places), dtype=np.bool_)
    for i in range(SIZE):
        byte = _LOWER[data[np.maximum(places - i, 0)]]
        inside &= ((byte - np.uint8(ord("a"))) < 26) & (places >= i)
        byte = (byte * inside).astype(np.uint64)
        key |= byte << np.uint64(8 * i)
    same = _KEYS[np.searchsorted(_KEYS, key) % len(_KEYS)] == key
    for ending in _ENDINGS:
        same |= key & np.uint64((1 << 8 * len(ending)) - 1) == _key(ending)
    found[maybe[same]] = True
    return found


def _key(word: str) -> int:
    return int.from_bytes(word.encode(), "big")


_BETWEEN = np.array([not (chr(byte).isalnum() and byte < 128) and byte not in b"_\n" for byte in range(256)])
_AFTER_EP = np.frombuffer(b"ois", dtype=np.uint8)
_AFTER = np.array([byte in b" :)]\x1b" for byte in range(256)])
_LOWER = np.array([ord(chr(byte).lower()) if byte < 128 else byte for byte in range(256)], dtype=np.uint8)
_KEYS = np.sort(np.array([_key(word) for word in _WORDS], dtype=np.uint64))
_LASTS = np.zeros((256, 256), dtype=np.bool_)  # by the last byte of a word and the one before it
for _word in (*_WORDS, *_ENDINGS):
    for _last in {_word[-1], _word[-1].upper()}:
        before = [ord(x) for x in {_word[-2], _word[-2].upper()}] if len(_word) > 1 else slice(None)
        _LASTS[ord(_last), before] = True
