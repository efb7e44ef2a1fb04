"""Words of texts, and runs of them, as hashes: many texts at once."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
LONGEST = 20_000  # characters of a text that are looked at; `pieces` parts a longer one
MOST_WORDS = 1 << 18  # distinct words whose hashes are kept, 40 MB
LONG_WORD = 64  # characters; the hash of a longer word is not kept
_SPACE = re.compile(r"\s")
ODD = np.uint64(0x9E3779B97F4A7C15)


def normalised(text: str) -> str:
    """The text in lower case, with single spaces."""
    return " ".join(text.lower().split())


class WordHashes:
    """The words of texts as hashes of 64 bits, the same in every process."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, texts: Sequence[str], *, longest: int | None = LONGEST) -> tuple[Hashes, Rows]:
        """The hashes of the words of all texts, one after the other, and the text of each: shapes (words,). Of a longer
        text, so many characters are looked at."""
        words = [text[:longest].lower().split() for text in texts]
        known = self._known
        if len(known) > MOST_WORDS:
            known.clear()
        codes = np.fromiter(
            (known[w] if w in known else self._hash(w) for each in words for w in each),
            dtype=np.uint64,
        )
        return mixed(codes), np.repeat(np.arange(len(texts)), [len(each) for each in words])

    def _hash(self, word: str) -> int:
        data = word.encode("utf-8", "replace")
        made = zlib.crc32(data) | (zlib.adler32(data) << 32)
        if len(word) <= LONG_WORD:
            self._known[word] = made
        return made


def pieces(text: str, *, overlap: int) -> Iterator[str]:
    """The pieces of a text, each of 20,000 characters and the rest of the last word. Each piece begins with the last
    `overlap` words of the one before it, so that no run of words is lost."""
    begin, before = 0, ""
    while begin < len(text):
        space = _SPACE.search(text, begin + LONGEST - 1)
        end = space.start() if space else len(text)
        piece = before + text[begin:end]
        yield piece
        before = " ".join([*piece.split()[-overlap:], ""]) if overlap else ""
        begin = end


def mixed(codes: Hashes) -> Hashes:
    """The codes with their bits spread. Source: the finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        made = codes + ODD
        made = (made ^ (made >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        made = (made ^ (made >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    made ^= made >> np.uint64(31)
    return made


def runs(codes: Hashes, owner: Rows, length: int, *, short: bool = False) -> tuple[Hashes, Rows]:
    """The hashes of all runs of `length` words within one text, and the text of each. `short`: of a text with fewer
    words, its whole; otherwise it has none."""
    if not len(codes):
        return codes, owner
    with np.errstate(over="ignore"):
        made = np.zeros(max(0, len(codes) - length + 1), dtype=np.uint64)
        for place in range(length if len(made) else 0):
            made = made * ODD + codes[place : place + len(made)]
    inside = owner[: len(made)] == owner[length - 1 :] if len(made) else np.zeros(0, dtype=bool)
    found, whose = mixed(made[inside]), owner[: len(made)][inside]
    if not short:
        return found, whose
    sizes = np.bincount(owner)
    rest = np.flatnonzero((sizes > 0) & (sizes < length))
    if not len(rest):
        return found, whose
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    with np.errstate(over="ignore"):
        whole = np.zeros(len(rest), dtype=np.uint64)
        for place in range(length):
            has = sizes[rest] > place
            whole[has] = whole[has] * ODD + codes[starts[rest][has] + place]
    every, whom = np.concatenate((found, mixed(whole))), np.concatenate((whose, rest))
    order = np.argsort(whom, kind="stable")
    return every[order], whom[order]


def exact_keys(texts: Sequence[str]) -> Hashes:
    """A digest of each whole text in lower case with single spaces; 0 for an empty one."""
    made = np.zeros(len(texts), dtype=np.uint64)
    for row, text in enumerate(texts):
        parts = [normalised(text)] if len(text) <= LONGEST else map(normalised, pieces(text, overlap=0))
        digest = hashlib.blake2b(digest_size=8)
        there = False
        for part in parts:
            if part:
                digest.update((f" {part}" if there else part).encode("utf-8", "replace"))
                there = True
        if there:
            made[row] = int.from_bytes(digest.digest(), "little") or 1
    return made
