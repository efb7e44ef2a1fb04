"""Which of many keys other data holds: a filter of fixed size, then an exact join, range by range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.external.scratch import Scratch
from rldk.core.external.sorted_runs import Keys, Part, Rows, SortedRuns

LEAST_BITS, MOST_BITS = 16, 29  # 8 kB, 64 MB
ROOM = 6  # a filter has 64 bits for each key where it may: it then lets 1.6 % of other keys pass


class KeyFilter:
    """A set of bits, one for each key that it has seen. It never rejects one of these."""

    def __init__(self, keys: int) -> None:
        bits = min(max(keys.bit_length() + ROOM, LEAST_BITS), MOST_BITS)
        self._shift = np.uint64(64 - bits)
        self._bits = np.zeros(1 << (bits - 3), dtype=np.uint8)

    def add(self, keys: Keys) -> None:
        """Adds keys, which rise."""
        if len(keys):
            byte, bit = self._places(keys)
            begins = np.flatnonzero(np.concatenate(([True], byte[1:] != byte[:-1])))
            self._bits[byte[begins]] |= np.bitwise_or.reduceat(np.left_shift(np.uint8(1), bit), begins)

    def passes(self, keys: Keys) -> NDArray[np.bool_]:
        """Whether each key may have been added."""
        byte, bit = self._places(keys)
        return (self._bits[byte] >> bit) & np.uint8(1) > 0

    def _places(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        place = (keys >> self._shift).astype(np.int64)
        return place >> 3, (place & 7).astype(np.uint8)


def filter_of(runs: SortedRuns) -> KeyFilter:
    """The filter that lets the keys of all runs pass."""
    made = KeyFilter(len(runs))
    for cells in runs.ranges():
        for keys, _ in runs.parts(cells):
            made.add(keys)
    return made


def positions(keys: Keys, wanted: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The place of each wanted key among `keys`, which rise and differ, and whether it is there."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted


class Joined(Struct, frozen=True, kw_only=True):
    """Keys of one range: how many pairs each has, the first row of each, and whether it was found. Shapes (keys,).
    `parts`: the pairs."""

    keys: Keys
    counts: NDArray[np.int64]
    firsts: Rows
    found: NDArray[np.bool_]
    parts: Iterable[Part]


class KeySearch:
    """Keys with rows. Wanted are the keys that other data holds, too. All keys are kept before the first is searched.

    Memory is that of the sorted runs and of a filter of 64 MB at most; the disk takes 12 bytes for each kept key, and
    for the others never more than for these."""

    def __init__(self, scratch: Scratch) -> None:
        self._kept = SortedRuns(scratch)
        self._found = SortedRuns(scratch, alone=True)
        self._spare = SortedRuns(scratch, alone=True)
        self._filter: KeyFilter | None = None
        self._least = scratch.held.entries // 2

    def keep(self, keys: Keys, rows: Rows) -> None:
        """Keeps pairs, in the order of their rows."""
        self._kept.add(keys, rows)

    def search(self, keys: Keys) -> None:
        """Looks for the keys among the kept ones."""
        if self._filter is None:
            self._filter = filter_of(self._kept)
        self._found.add_keys(keys[self._filter.passes(keys)])
        if len(self._found) > max(self._least, 2 * len(self._kept)):
            self._reduce()

    def joined(self, *, counted: NDArray[np.bool_] | None = None) -> Iterator[Joined]:
        """The kept keys, range by range, with what was found. `counted`: which rows count, shape (rows,)."""
        for cells in self._kept.ranges():
            every = self._kept.distinct(cells, counted=counted)
            found = np.zeros(len(every.keys), dtype=bool)
            for keys, _ in self._found.parts(cells):
                at, there = positions(every.keys, keys)
                found[at[there]] = True
            yield Joined(
                keys=every.keys, counts=every.counts, firsts=every.firsts, found=found, parts=self._kept.parts(cells)
            )

    def _reduce(self) -> None:
        """Leaves, of what was found, the keys that are really kept, once each."""
        for one in self.joined():
            self._spare.add_keys(one.keys[one.found])
        self._found.clear()
        self._found, self._spare = self._spare, self._found
