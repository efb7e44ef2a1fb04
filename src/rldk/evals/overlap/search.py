"""Which texts of an evaluation stand in the training data: as a whole, in long runs of words, or nearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.adapters.records import UnreadRecord
from rldk.core.external.key_search import KeySearch, positions
from rldk.core.external.scratch import Held, Scratch
from rldk.core.stats.minhash import BATCH, SHINGLE, signatures
from rldk.core.stats.near_texts import NearTexts
from rldk.core.stats.shingles import LONGEST, WordHashes, exact_keys, pieces, runs
from rldk.errors import NoData, UsageError
from rldk.evals.overlap.sources import texts_of_training

RUN = 13  # words. Source: Brown et al. 2020 (GPT-3), appendix C
TEMPLATE = 0.01  # a run that this share of the evaluation's texts has is part of a template
LEAST_TEMPLATE = 10  # texts
COVERED = 0.5  # of a text's runs that training must hold
MOST_CHARACTERS = 1 << 21  # of the texts that are looked at at a time
MOST_TEXTS = (1 << 32) - 1  # their rows are kept in 32 bits

Tell = Callable[[str], None]


class Overlap(Struct, frozen=True, kw_only=True):
    """Which of the evaluation's texts were found, shape (texts,) each. `exact`: the whole text, whatever the case and
    spacing. `covered`: at least half of its runs of 13 words. `near`: a MinHash similarity of 0.7. `share`: of its runs
    that were found, NaN for a text of fewer words. `searched`: texts of training; `rejected`: records that could not be
    read. `left_out`: comparisons of signatures that were left out, as more than 20 texts share a template. `on_disk`:
    bytes of temporary data at the fullest moment."""

    exact: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    near: NDArray[np.bool_]
    share: NDArray[np.float64]
    searched: int
    rejected: int
    left_out: int
    on_disk: int

    @property
    def found(self) -> NDArray[np.bool_]:
        """The texts that were found in any of the three ways."""
        return self.exact | self.covered | self.near


def _silent(_: str) -> None:
    """Reports no progress."""


def find_overlap(train: Any, texts: Iterable[str | None], *, tell: Tell = _silent, held: Held | None = None) -> Overlap:
    """Looks for the texts in the training data. Both are read once, and neither is held.

    `train`: a file, a folder of files, a DataFrame, or a list of records or texts. Every text in a record counts. It is
    read to the end for whole texts and runs of words. Of a text of the evaluation, and of every text for near copies,
    the first 20,000 characters are looked at. `tell` is called with what is done now. `held`: how much stays in memory;
    the result does not depend on it.

    Memory is bounded by 500 MB and 22 bytes for each text of the evaluation, whatever the sizes of both. More than
    about 30,000 texts of 60 words use temporary files in TMPDIR: 1.1 kB for each text of the evaluation with 60 words,
    and never more than three times that with the training data. Time grows with the sum of both.
    Raises `OutputError` where the disk is full, `UnreadableSource`, `NoData` and the errors of `read_records`."""
    with Scratch(held) as scratch:
        index = _Index(scratch)
        for batch in _batches(texts):
            index.keep([text if isinstance(text, str) else "" for text in batch])
            tell(f"{index.count:,} texts of the evaluation")
        searched = rejected = 0
        for batch in _batches(texts_of_training(train)):
            good = [text for text in batch if not isinstance(text, UnreadRecord)]
            rejected += len(batch) - len(good)
            searched += len(good)
            index.search(good)
            tell(f"{searched:,} texts of the training data")
        if not searched:
            raise NoData("the training data holds no text", hint="give files with a text in each record")
        return index.overlap(searched, rejected, scratch, tell)


def _batches(texts: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists of up to 2,000 texts, and of fewer where they are long."""
    batch: list[Any] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) if isinstance(text, str) else 0
        if len(batch) >= BATCH or size >= MOST_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Index:
    """What is kept of the evaluation's texts."""

    def __init__(self, scratch: Scratch) -> None:
        self.count = 0
        self._words = WordHashes()
        self._grams, self._whole = KeySearch(scratch), KeySearch(scratch)
        self._near = NearTexts(scratch)

    def keep(self, texts: list[str]) -> None:
        if self.count + len(texts) > MOST_TEXTS:
            raise UsageError(f"the evaluation has more than {MOST_TEXTS:,} texts", hint="give a sample of them")
        codes, owner = self._words.of(texts)
        grams, whose = runs(codes, owner, RUN)
        self._grams.keep(grams, (whose + self.count).astype(np.uint32))
        self._near.keep(signatures(*runs(codes, owner, SHINGLE, short=True), len(texts)))
        keys = exact_keys(texts)
        there = np.flatnonzero(keys)
        self._whole.keep(keys[there], (there + self.count).astype(np.uint32))
        self.count += len(texts)

    def search(self, texts: list[str]) -> None:
        codes, owner = self._words.of(texts)
        self._grams.search(runs(codes, owner, RUN)[0])
        self._near.search(signatures(*runs(codes, owner, SHINGLE, short=True), len(texts)))
        keys = exact_keys(texts)
        self._whole.search(keys[keys > 0])
        for text in texts:
            if len(text) > LONGEST:
                for some in _batches(pieces(text, overlap=RUN - 1)):
                    self._grams.search(runs(*self._words.of(some, longest=None), RUN)[0])

    def overlap(self, searched: int, rejected: int, scratch: Scratch, tell: Tell) -> Overlap:
        tell("joining whole texts")
        exact, first = np.zeros((2, self.count), dtype=bool)
        for one in self._whole.joined():
            first[one.firsts] = True
            for keys, rows in one.parts:
                exact[rows[one.found[positions(one.keys, keys)[0]]]] = True
        tell("joining runs of words")
        share = self._share(first)
        tell("joining signatures")
        near = self._near.found()
        return Overlap(
            exact=exact, covered=np.nan_to_num(share) >= COVERED, near=near, share=share,
            searched=searched, rejected=rejected, left_out=self._near.left_out, on_disk=scratch.most,
        )  # fmt: skip

    def _share(self, first: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of each text's runs that were found, leaving templates out. A text that stands in several rows
        is one text of those that share a run."""
        own, hits = np.zeros((2, self.count), dtype=np.uint32)
        most = max(LEAST_TEMPLATE, TEMPLATE * int(first.sum()))
        for one in self._grams.joined(counted=first):
            usual = one.counts <= most
            for keys, rows in one.parts:
                at = positions(one.keys, keys)[0]
                np.add.at(own, rows[usual[at]], np.uint32(1))
                np.add.at(hits, rows[(usual & one.found)[at]], np.uint32(1))
        share = np.full(self.count, np.nan)
        np.divide(hits, own, out=share, where=own > 0)
        return share
