"""MinHash of many texts at once, and the search for texts that are nearly one of those kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.shingles import Hashes, Rows, WordHashes, mixed, runs

SIZE, BANDS = 64, 16  # bands of four: texts with a similarity of 0.7 share a band with probability 0.99
WIDTH = SIZE // BANDS
SHINGLE = 5  # words
BATCH = 2000  # texts at a time
SAME_KEY = 20  # kept texts of one band that are compared, as of a template that many share
ABSENT = np.uint32(0xFFFFFFFF)

Signatures = NDArray[np.uint32]


def signatures(shingles: Hashes, owner: Rows, texts: int, *, seed: int = 0) -> Signatures:
    """The signatures, shape (texts, 64): two agree in about the share of shingles that both hold (Jaccard).

    A text without words has the greatest value throughout. Source: Broder 1997."""
    made = np.full((texts, SIZE), ABSENT, dtype=np.uint32)
    if not len(shingles):
        return made
    begins = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    salts = mixed(np.arange(1, SIZE + 1, dtype=np.uint64) + np.uint64(seed << 8))
    for place, salt in enumerate(salts):
        with np.errstate(over="ignore"):
            told = ((shingles ^ salt) * np.uint64(0xFF51AFD7ED558CCD)) >> np.uint64(32)
        made[owner[begins], place] = np.minimum.reduceat(told.astype(np.uint32), begins)
    return made


def text_signatures(texts: Sequence[str]) -> Signatures:
    """The signatures of texts, from their runs of five words; of a shorter text, from the whole of it."""
    words = WordHashes()
    made = [np.zeros((0, SIZE), dtype=np.uint32)]
    for begin in range(0, len(texts), BATCH):
        some = texts[begin : begin + BATCH]
        made.append(signatures(*runs(*words.of(some), SHINGLE, short=True), len(some)))
    return np.concatenate(made)


class NearTexts:
    """The signatures of texts, to be searched for others that are nearly one of them. 0.4 kB a text."""

    def __init__(self, kept: Signatures, *, similarity: float = 0.7) -> None:
        self._kept, self._similarity = kept, similarity
        self.found = np.zeros(len(kept), dtype=bool)
        there = np.flatnonzero((kept != ABSENT).any(axis=1))
        self._bands = []
        for band in range(BANDS):
            keys = _band_keys(kept[there], band)
            order = np.argsort(keys, kind="stable")
            self._bands.append((keys[order], there[order].astype(np.int32)))

    def search(self, others: Signatures) -> None:
        """Marks in `found` the kept texts that one of the others is nearly equal to: an estimated Jaccard similarity of
        at least 0.7, with a standard error of about 0.06."""
        others = others[(others != ABSENT).any(axis=1)]
        for band, (keys, rows) in enumerate(self._bands):
            wanted = _band_keys(others, band)
            first = np.searchsorted(keys, wanted, side="left")
            count = np.minimum(np.searchsorted(keys, wanted, side="right") - first, SAME_KEY)
            if not count.any():
                continue
            other = np.repeat(np.arange(len(others)), count)
            place = np.repeat(first, count) + _counted(count)
            candidate = rows[place]
            fresh = ~self.found[candidate]
            alike = (self._kept[candidate[fresh]] == others[other[fresh]]).mean(axis=1)
            self.found[candidate[fresh][alike >= self._similarity]] = True


def _band_keys(signs: Signatures, band: int) -> Hashes:
    made = np.zeros(len(signs), dtype=np.uint64)
    for place in range(band * WIDTH, (band + 1) * WIDTH):
        made = mixed(made ^ signs[:, place].astype(np.uint64))
    return made


def _counted(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... for each of the counts, one after the other."""
    total = int(count.sum())
    starts = np.repeat(np.cumsum(count) - count, count)
    return np.arange(total) - starts
