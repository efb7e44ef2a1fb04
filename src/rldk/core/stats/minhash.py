"""MinHash of many texts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.shingles import Hashes, Rows, WordHashes, mixed, runs

SIZE, BANDS = 64, 16  # bands of four: texts with a similarity of 0.7 share a band with probability 0.99
WIDTH = SIZE // BANDS
SHINGLE = 5  # words
BATCH = 2000  # texts at a time
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


def band_keys(signs: Signatures) -> Hashes:
    """A key for each band of each signature, shape (texts, 16). Keys of different bands differ."""
    made = np.repeat(np.arange(BANDS, dtype=np.uint64)[None, :] << np.uint64(32), len(signs), axis=0)
    for place in range(WIDTH):
        one: Hashes = signs[:, place::WIDTH].astype(np.uint64)
        made = mixed(made ^ one)
    return made


def whole_keys(bands: Hashes) -> Hashes:
    """A key for each whole signature, from the keys of its bands, shape (texts,)."""
    made = np.zeros(len(bands), dtype=np.uint64)
    for band in range(bands.shape[1]):
        made = mixed(made ^ bands[:, band])
    return made
