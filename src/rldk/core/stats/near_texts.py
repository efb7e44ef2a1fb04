"""The search for texts that are nearly one of the texts that are kept: bands of MinHash signatures, joined on disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.core.external.key_search import KeyFilter, filter_of, positions
from rldk.core.external.scratch import Scratch, Spool
from rldk.core.external.sorted_runs import Keys, Part, Rows, SortedRuns
from rldk.core.stats.minhash import ABSENT, BANDS, SIZE, Signatures, band_keys, whole_keys

SIMILARITY = 0.7
SAME_KEY = 20  # kept signatures of one band that are compared, as of a template that many share
BLOCK = 4096  # signatures that are read or compared at a time, 1 MB
GAP = 16  # signatures between two wanted ones that are read along
BYTES = 4 * SIZE  # of a signature


class NearTexts:
    """The signatures of texts, to be searched for others that are nearly one of them. All are kept before the first is
    searched.

    Two signatures match when they agree in 70 % of their places: an estimated Jaccard similarity of at least 0.7, with
    a standard error of about 0.06. Only those are compared that agree in a band. Texts with one and the same signature
    are compared as one. Of different signatures with the same band, as of a template, the first 20 are compared;
    `left_out` counts the comparisons that this saves.

    Memory is that of the sorted runs, and 2 bytes for each kept text. The disk takes 0.5 kB for each kept text at most,
    and for the others never more than 0.7 kB for each kept one."""

    def __init__(self, scratch: Scratch) -> None:
        self.left_out = 0
        self._count = 0
        self._signs, self._others = scratch.spool(), scratch.spool()
        self._whole, self._kept, self._wanted = (SortedRuns(scratch) for _ in range(3))
        self._filter: KeyFilter | None = None
        self._least, self._most = max(1, scratch.held.entries // 32), scratch.held.entries
        self._found = np.zeros(0, dtype=bool)

    def keep(self, signs: Signatures) -> None:
        """Keeps the signatures of the next texts, shape (texts, 64)."""
        self._signs.write(signs)
        rows = np.flatnonzero((signs != ABSENT).any(axis=1))
        self._whole.add(whole_keys(band_keys(signs[rows])), (rows + self._count).astype(np.uint32))
        self._count += len(signs)

    def search(self, others: Signatures) -> None:
        """Looks for kept texts that one of the others is nearly equal to."""
        if self._filter is None:
            self._filter = self._settled()
        others = others[(others != ABSENT).any(axis=1)]
        keys = band_keys(others)
        passed = self._filter.passes(keys.ravel()).reshape(keys.shape)
        hit = passed.any(axis=1)
        if not hit.any():
            return
        begin = self._others.size // BYTES
        self._others.write(others[hit])
        own = np.repeat(np.arange(begin, begin + int(hit.sum()), dtype=np.uint32), BANDS)
        self._wanted.add(keys[hit].ravel()[passed[hit].ravel()], own[passed[hit].ravel()])
        if self._others.size // BYTES >= max(self._least, self._count):
            self._compare()

    def found(self) -> NDArray[np.bool_]:
        """Which of the kept texts were found, shape (texts,)."""
        if self._filter is None:
            return np.zeros(self._count, dtype=bool)
        self._compare()
        made = self._found.copy()
        for cells in self._whole.ranges():
            every = self._whole.distinct(cells)
            hits = self._found[every.firsts]
            for keys, rows in self._whole.parts(cells):
                made[rows] = hits[positions(every.keys, keys)[0]]
        return made

    def _settled(self) -> KeyFilter:
        """Keeps the bands of the first text of each signature."""
        self._found = np.zeros(self._count, dtype=bool)
        first = np.zeros(self._count, dtype=bool)
        for cells in self._whole.ranges():
            first[self._whole.distinct(cells).firsts] = True
        for begin in range(0, self._count, BLOCK):
            rows = np.flatnonzero(first[begin : begin + BLOCK])
            count = min(BLOCK, self._count - begin)
            signs = self._signs.read(begin * BYTES, count * SIZE, np.uint32).reshape(count, SIZE)[rows]
            self._kept.add(band_keys(signs).ravel(), np.repeat((rows + begin).astype(np.uint32), BANDS))
        return filter_of(self._kept)

    def _compare(self) -> None:
        """Compares the others that wait with the kept texts of their bands, and forgets them."""
        for cells in self._kept.ranges():
            every = self._kept.distinct(cells)
            opening: Part | None = None
            for keys, rows in self._wanted.parts(cells):
                at, there = positions(every.keys, keys)
                if not there.any():
                    continue
                opening = opening or self._opening(cells)
                at, owner = at[there], rows[there]
                self.left_out += int(np.maximum(every.counts[at] - SAME_KEY, 0).sum())
                for some in range(0, len(at), BLOCK):
                    self._compare_some(every.keys[at[some : some + BLOCK]], owner[some : some + BLOCK], opening)
        self._wanted.clear()
        self._others.clear()

    def _opening(self, cells: tuple[int, int]) -> Part:
        """The first 20 kept texts of each key, sorted by key."""
        waiting: list[Part] = []
        for part in self._kept.parts(cells):
            waiting.append(_first(*part))
            if sum(len(keys) for keys, _ in waiting[1:]) > max(self._most, len(waiting[0][0])):
                waiting = [_joined(waiting)]
        return _joined(waiting)

    def _compare_some(self, wanted: Keys, owner: Rows, opening: Part) -> None:
        keys, rows = opening
        first = np.searchsorted(keys, wanted, side="left")
        count = np.searchsorted(keys, wanted, side="right") - first
        other = np.repeat(owner, count)
        candidate = rows[np.repeat(first, count) + counted(count)]
        fresh = ~self._found[candidate]
        candidate, other = candidate[fresh], other[fresh]
        for begin in range(0, len(candidate), BLOCK):
            mine, theirs = candidate[begin : begin + BLOCK], other[begin : begin + BLOCK]
            alike = (_signs_at(self._signs, mine) == _signs_at(self._others, theirs)).mean(axis=1)
            self._found[mine[alike >= SIMILARITY]] = True


def _signs_at(spool: Spool, rows: Rows) -> Signatures:
    """The signatures of the rows, shape (rows, 64). Rows that lie close to each other are read at once."""
    wanted, place = np.unique(rows.astype(np.int64), return_inverse=True)
    cuts = np.flatnonzero(np.diff(wanted) > GAP) + 1
    made = np.empty((len(wanted), SIZE), dtype=np.uint32)
    for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(wanted)], strict=True):
        first, last = int(wanted[begin]), int(wanted[end - 1])
        block = spool.read(first * BYTES, (last - first + 1) * SIZE, np.uint32).reshape(-1, SIZE)
        made[begin:end] = block[wanted[begin:end] - first]
    return made[place]


def _first(keys: Keys, rows: Rows) -> Part:
    """The first 20 pairs of each key; the keys rise."""
    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    sizes = np.diff(np.append(begins, len(keys)))
    kept = counted(sizes) < SAME_KEY
    return keys[kept], rows[kept]


def _joined(parts: list[Part]) -> Part:
    """The first 20 pairs of each key of several parts, whose rows rise from part to part."""
    keys = np.concatenate([part[0] for part in parts])
    order = np.argsort(keys, kind="stable")
    return _first(keys[order], np.concatenate([part[1] for part in parts])[order])


def counted(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... for each of the counts, one after the other."""
    total = int(count.sum())
    starts = np.repeat(np.cumsum(count) - count, count)
    return np.arange(total) - starts
