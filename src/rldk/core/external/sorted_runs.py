"""Pairs of a key and a row, sorted in runs, so that all pairs of a range of keys can be read at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.external.scratch import Scratch

Keys = NDArray[np.uint64]
Rows = NDArray[np.uint32]
Part = tuple[Keys, Rows]
CELLS = 1 << 12  # equal parts of all keys; a range of keys is some of them
BEGINNINGS = np.arange(CELLS, dtype=np.uint64) << np.uint64(52)  # of each cell


class Distinct(Struct, frozen=True, kw_only=True):
    """Keys that differ, in order; how many pairs each has, and the first row of each. Shapes (keys,)."""

    keys: Keys
    counts: NDArray[np.int64]
    firsts: Rows


class _Run(Struct, frozen=True, kw_only=True):
    count: int
    keys: int  # place in the spool
    rows: int
    fences: NDArray[np.int32]  # where each cell begins, and the end


class SortedRuns:
    """Pairs of a key, evenly spread over 64 bits, and a row. `alone`: of equal keys, one is enough; rows are not kept.

    Memory: the pairs of one run (`Held.entries`) and 16 kB for each run."""

    def __init__(self, scratch: Scratch, *, alone: bool = False) -> None:
        self._most = scratch.held.entries
        self._spool = scratch.spool()
        self._alone = alone
        self._waiting: list[Part] = []
        self._waits = 0
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return self._waits + sum(run.count for run in self._runs)

    def add(self, keys: Keys, rows: Rows) -> None:
        """Adds pairs, in the order of their rows. Raises `OutputError` where the disk is full."""
        for begin in range(0, len(keys), self._most):
            some = keys[begin : begin + self._most], rows[begin : begin + self._most]
            self._waiting.append(some)
            self._waits += len(some[0])
            if self._waits >= self._most:
                self.settle()

    def add_keys(self, keys: Keys) -> None:
        """Adds keys of pairs without rows."""
        self.add(keys, np.zeros(len(keys) if not self._alone else 0, dtype=np.uint32))

    def settle(self) -> None:
        """Makes a run of the pairs that wait."""
        if not self._waits:
            return
        keys = np.concatenate([part[0] for part in self._waiting])
        rows = np.concatenate([part[1] for part in self._waiting])
        self._waiting, self._waits = [], 0
        if self._alone:
            keys = np.unique(keys)
        else:
            order = np.argsort(keys, kind="stable")
            keys, rows = keys[order], rows[order]
        fences = np.empty(CELLS + 1, dtype=np.int32)
        fences[:-1], fences[-1] = np.searchsorted(keys, BEGINNINGS), len(keys)
        places = self._spool.write(keys), 0 if self._alone else self._spool.write(rows)
        self._runs.append(_Run(count=len(keys), keys=places[0], rows=places[1], fences=fences))

    def ranges(self) -> list[tuple[int, int]]:
        """Ranges of cells that together hold all pairs, each about half of `Held.entries`: (first, end). The pairs of
        one key are never parted."""
        self.settle()
        sizes = np.zeros(CELLS, dtype=np.int64)
        for run in self._runs:
            sizes += np.diff(run.fences)
        ends, first, held = [], 0, 0
        for cell, size in enumerate(sizes.tolist()):
            if held and held + size > self._most // 2:
                ends.append((first, cell))
                first, held = cell, 0
            held += size
        return [*ends, (first, CELLS)] if held else ends

    def parts(self, cells: tuple[int, int]) -> Iterator[Part]:
        """The pairs of a range of cells, sorted by key, then by row; one part from each run, in the order of rows."""
        self.settle()
        for run in self._runs:
            begin, end = int(run.fences[cells[0]]), int(run.fences[cells[1]])
            if begin < end:
                keys = self._spool.read(run.keys + 8 * begin, end - begin, np.uint64)
                count = 0 if self._alone else end - begin
                yield keys, self._spool.read(run.rows + 4 * begin, count, np.uint32)

    def distinct(self, cells: tuple[int, int], *, counted: NDArray[np.bool_] | None = None) -> Distinct:
        """The keys of a range of cells. Pairs with equal keys are merged part by part, however many there are.
        `counted`: which rows count, shape (rows,); all by default."""
        made = Distinct(keys=np.zeros(0, np.uint64), counts=np.zeros(0, np.int64), firsts=np.zeros(0, np.uint32))
        waiting: list[Part] = []
        waits = 0
        for part in self.parts(cells):
            waiting.append(part)
            waits += len(part[0])
            if waits > self._most:
                made = _merged(made, _joined(waiting, counted))
                waiting, waits = [], 0
        return _merged(made, _joined(waiting, counted)) if waiting else made

    def clear(self) -> None:
        """Forgets all pairs."""
        self._waiting, self._waits, self._runs = [], 0, []
        self._spool.clear()


def _joined(parts: list[Part], counted: NDArray[np.bool_] | None) -> Distinct:
    """The keys of the parts; of the pairs of a key, those whose row counts are counted."""
    keys = np.concatenate([keys for keys, _ in parts])
    rows = np.concatenate([rows for _, rows in parts])
    parts.clear()
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    begins = _begins(keys)
    if counted is None:
        counts = np.diff(np.append(begins, len(keys)))
    else:
        counts = np.add.reduceat(counted[rows].astype(np.int64), begins)
    return Distinct(keys=keys[begins], counts=counts, firsts=np.minimum.reduceat(rows, begins))


def _merged(one: Distinct, other: Distinct) -> Distinct:
    if not len(one.keys):
        return other
    keys = np.concatenate((one.keys, other.keys))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    begins = _begins(keys)
    counts = np.concatenate((one.counts, other.counts))[order]
    firsts = np.concatenate((one.firsts, other.firsts))[order]
    return Distinct(
        keys=keys[begins],
        counts=np.add.reduceat(counts, begins),
        firsts=np.minimum.reduceat(firsts, begins),
    )


def _begins(keys: Keys) -> NDArray[np.int64]:
    """Where each of the keys, which rise, begins."""
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
