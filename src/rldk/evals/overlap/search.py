"""Which texts of an evaluation stand in the training data: as a whole, in long runs of words, or nearly."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.adapters.records import UnreadRecord, read_records
from rldk.core.samples import text_of
from rldk.core.stats.minhash import BATCH, SHINGLE, NearTexts, Signatures, signatures
from rldk.core.stats.shingles import Hashes, Rows, WordHashes, exact_keys, runs
from rldk.errors import NoData, UnreadableSource

RUN = 13  # words. Source: Brown et al. 2020 (GPT-3), appendix C
MOST_GRAMS = 16_000_000  # hashes of runs that are kept, 200 MB; of more, an equal share of every text
TEMPLATE = 0.01  # a run that this share of the evaluation's texts has is part of a template
LEAST_TEMPLATE = 10  # texts
COVERED = 0.5  # of a text's runs that training must hold
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".ndjson")


class Overlap(Struct, frozen=True, kw_only=True):
    """Which of the evaluation's texts were found, shape (texts,) each. `exact`: the whole text, whatever the case and
    spacing. `covered`: at least half of its runs of 13 words. `near`: a MinHash similarity of 0.7. `share`: of its runs
    that were found, NaN for a text of fewer words. `searched`: texts of training; `rejected`: records that could not be
    read. `kept`: one in so many runs was kept."""

    exact: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    near: NDArray[np.bool_]
    share: NDArray[np.float64]
    searched: int
    rejected: int
    kept: int

    @property
    def found(self) -> NDArray[np.bool_]:
        """The texts that were found in any of the three ways."""
        return self.exact | self.covered | self.near


def find_overlap(train: Any, texts: Sequence[str | None]) -> Overlap:
    """Looks for the texts in the training data, which is read once and never held.

    `train`: a file, a folder of files, a DataFrame, or a list of records or texts. Every text in a record counts.
    Memory grows with the evaluation's texts and not with the training data: 650 MB in all were measured for 100,000
    texts of 60 words.
    Raises `UnreadableSource`, `NoData` and the errors of `read_records`."""
    index = _Index(texts)
    searched = rejected = 0
    words = WordHashes()
    source = texts_of_training(train)
    while batch := list(islice(source, BATCH)):
        good = [text for text in batch if not isinstance(text, UnreadRecord)]
        rejected += len(batch) - len(good)
        searched += len(good)
        index.search(good, words)
    if not searched:
        raise NoData("the training data holds no text", hint="give files with a text in each record")
    return index.overlap(searched, rejected)


def texts_of_training(train: Any) -> Iterator[str]:
    """Yields every text of the training data; a record that cannot be read as a `UnreadRecord`."""
    if isinstance(train, str | os.PathLike):
        path = Path(train)
        files = _files(path) if path.is_dir() else [path]
        for file in files:
            yield from _texts(read_records(file))
    elif hasattr(train, "to_dict") and hasattr(train, "columns"):
        yield from _texts(train.to_dict("records"))
    else:
        yield from _texts(train)


def _files(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))
    if not found:
        raise UnreadableSource(f"{folder} holds no table", hint=f"files that end in {', '.join(SUFFIXES)}")
    return found


def _texts(records: Iterable[Any]) -> Iterator[str]:
    for record in records:
        if isinstance(record, str):  # a text, or why a record could not be read
            yield record
        elif isinstance(record, Mapping):
            for value in record.values():
                text = value if isinstance(value, str) else text_of(value) if isinstance(value, list | dict) else None
                if text:
                    yield text


class _Index:
    """What is kept of the evaluation's texts."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        self._count = len(texts)
        words = WordHashes()
        grams: list[tuple[Hashes, Rows]] = []
        signs: list[Signatures] = []
        keys: list[Hashes] = []
        self._keep = np.uint64(1)
        for begin in range(0, len(texts), BATCH):
            some = [text or "" for text in texts[begin : begin + BATCH]]
            codes, owner = words.of(some)
            found, whose = runs(codes, owner, RUN)
            own = found % self._keep == 0
            grams.append((found[own], whose[own] + begin))
            signs.append(signatures(*runs(codes, owner, SHINGLE, short=True), len(some)))
            keys.append(exact_keys(some))
            while sum(len(g) for g, _ in grams) > MOST_GRAMS:
                self._keep = self._keep * np.uint64(2)
                grams = [(g[g % self._keep == 0], o[g % self._keep == 0]) for g, o in grams]
        self._keys = np.concatenate(keys) if keys else np.zeros(0, dtype=np.uint64)
        self._order = np.argsort(self._keys, kind="stable")
        self._exact = np.zeros(self._count, dtype=bool)
        self._near = NearTexts(np.concatenate(signs) if signs else np.zeros((0, 64), dtype=np.uint32))
        self._set_grams(grams)

    def _set_grams(self, grams: list[tuple[Hashes, Rows]]) -> None:
        """Sorts the runs, and leaves out those of templates."""
        every = np.concatenate([g for g, _ in grams]) if grams else np.zeros(0, dtype=np.uint64)
        owner = np.concatenate([o for _, o in grams]) if grams else np.zeros(0, dtype=np.int64)
        self._grams, place, count = np.unique(every, return_inverse=True, return_counts=True)
        usual = count <= max(LEAST_TEMPLATE, TEMPLATE * self._count)
        kept = usual[place]
        self._place, self._owner = place[kept], owner[kept]
        self._seen = np.zeros(len(self._grams), dtype=bool)

    def search(self, texts: Sequence[str], words: WordHashes) -> None:
        codes, owner = words.of(texts)
        found = runs(codes, owner, RUN)[0]
        found = found[found % self._keep == 0]
        if len(self._grams) and len(found):
            at = np.minimum(np.searchsorted(self._grams, found), len(self._grams) - 1)
            self._seen[at[self._grams[at] == found]] = True
        self._near.search(signatures(*runs(codes, owner, SHINGLE, short=True), len(texts)))
        keys = np.unique(exact_keys(texts))
        ordered = self._keys[self._order]
        first, last = (np.searchsorted(ordered, keys[keys > 0], side=side) for side in ("left", "right"))
        for begin, end in zip(first[first < last].tolist(), last[first < last].tolist(), strict=True):
            self._exact[self._order[begin:end]] = True

    def overlap(self, searched: int, rejected: int) -> Overlap:
        own = np.bincount(self._owner, minlength=self._count)
        hits = np.bincount(self._owner, weights=self._seen[self._place], minlength=self._count)
        share = np.full(self._count, np.nan)
        np.divide(hits, own, out=share, where=own > 0)
        return Overlap(
            exact=self._exact, covered=np.nan_to_num(share) >= COVERED, near=self._near.found, share=share,
            searched=searched, rejected=rejected, kept=int(self._keep),
        )  # fmt: skip
