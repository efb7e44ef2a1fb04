"""Texts that are nearly the same, found without comparing each with each."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

HASHES, BANDS = 64, 16  # bands of four: texts with a similarity of 0.7 share a band with probability 0.99
WORDS = 5  # of a shingle
LONGEST = 20_000  # characters of a text that are looked at
ABSENT = np.uint64(0xFFFFFFFFFFFFFFFF)


def normalised(text: str) -> str:
    """The text in lower case, with single spaces."""
    return " ".join(text.lower().split())


def signatures(texts: Sequence[str], *, seed: int = 0) -> NDArray[np.uint64]:
    """The MinHash signatures of texts, shape (texts, 64): two agree in about the share of 5-word shingles that both
    hold (Jaccard). Source: Broder 1997, "On the resemblance and containment of documents"."""
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 1 << 31, HASHES, dtype=np.uint64) | np.uint64(1)
    b = rng.integers(0, 1 << 31, HASHES, dtype=np.uint64)
    made = np.full((len(texts), HASHES), ABSENT, dtype=np.uint64)
    for row, text in enumerate(texts):
        shingles = np.fromiter(_shingles(text), dtype=np.uint64)
        if len(shingles):
            with np.errstate(over="ignore"):
                mixed = shingles[:, None] * a + b  # modulo 2^64
                mixed ^= mixed >> np.uint64(29)
            made[row] = mixed.min(axis=0)
    return made


def near_duplicates(
    texts: NDArray[np.uint64], among: NDArray[np.uint64], *, similarity: float = 0.7
) -> NDArray[np.bool_]:
    """Which of the texts are nearly one of the others: an estimated Jaccard similarity of at least `similarity`.

    Both are signatures. The estimate has a standard error of about 0.06."""
    found = np.zeros(len(texts), dtype=bool)
    width = HASHES // BANDS
    for band in range(BANDS):
        cut = slice(band * width, (band + 1) * width)
        buckets: dict[bytes, list[int]] = {}
        for row, part in enumerate(np.ascontiguousarray(among[:, cut])):
            if part[0] != ABSENT:
                held = buckets.setdefault(part.tobytes(), [])
                if len(held) < 20:  # of a bucket that many texts share, as of a template
                    held.append(row)
        for row, part in enumerate(np.ascontiguousarray(texts[:, cut])):
            if not found[row]:
                rows = buckets.get(part.tobytes(), ())
                if rows:
                    alike = (among[list(rows)] == texts[row]).mean(axis=1)
                    found[row] = bool((alike >= similarity).any())
    return found


def _shingles(text: str) -> Iterable[int]:
    """Hashes of the runs of five words; of a shorter text, of the whole of it."""
    words = normalised(text[:LONGEST]).split()
    if not words:
        return ()
    runs = {" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))}
    return (
        zlib.crc32(run.encode("utf-8", "replace")) | (zlib.adler32(run.encode("utf-8", "replace")) << 32)
        for run in runs
    )
