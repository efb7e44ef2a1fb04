"""Texts that stand in the data twice: in training and validation, or as a pair and its reverse."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from rldk.core.external.scratch import Scratch
from rldk.core.stats.clustered import clustered_share
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.minhash import text_signatures
from rldk.core.stats.near_texts import NearTexts
from rldk.core.stats.shingles import normalised
from rldk.reward.rows import LEAST, clusters_of
from rldk.reward.table import ScoreTable

CHUNK = 20_000  # rows whose texts are held at a time
MOST_NEAR = 20_000  # texts of either part that are searched for near duplicates
MOST_PAIRS = 200_000
DIGEST = 12  # bytes

Rows = NDArray[np.int64]


def split_overlap(table: ScoreTable, *, seed: int) -> Estimate | None:
    """The share of validation rows whose text is (nearly) that of a training row; None without a split and texts."""
    if table.split is None or table.responses is None:
        return None
    train, held = (np.flatnonzero(table.split == part) for part in (0, 1))
    if len(held) < LEAST or not len(train):
        return None
    known = {key for key in _keys(table, train) if key}
    hits = np.array([key in known and bool(key) for key in _keys(table, held)], dtype=bool)
    _add_near(table, train, held, hits, seed=seed)
    return clustered_share(hits, clusters_of(table, held))


def contradictions(table: ScoreTable) -> Estimate | None:
    """The share of pairs that also stand in the data the other way round; None without the texts of pairs."""
    if table.pairs is None or table.responses is None:
        return None
    count = min(len(table.pairs.margin), MOST_PAIRS)
    if count < LEAST:
        return None
    chosen = list(_keys(table, np.arange(count)))
    rejected = list(_keys(table, np.arange(len(table.pairs.margin), len(table.pairs.margin) + count)))
    both = set(zip(chosen, rejected, strict=True))
    hits = [bool(a and b and a != b and (b, a) in both) for a, b in zip(chosen, rejected, strict=True)]
    return clustered_share(np.array(hits, dtype=bool), clusters_of(table, np.arange(count)))


def _keys(table: ScoreTable, rows: Rows) -> list[bytes]:
    """A digest of prompt and answer of each row; b"" where there is no answer."""
    return [
        hashlib.blake2b(normalised(text).encode("utf-8", "replace"), digest_size=DIGEST).digest() if text else b""
        for text in _texts(table, rows)
    ]


def _texts(table: ScoreTable, rows: Rows) -> list[str]:
    """Prompt and answer of each row; of a missing answer, nothing."""
    if table.responses is None:
        return [""] * len(rows)
    made: list[str] = []
    for begin in range(0, len(rows), CHUNK):
        some = rows[begin : begin + CHUNK]
        prompts = table.prompts.some(some) if table.prompts is not None else [None] * len(some)
        answers = table.responses.some(some)
        made += [f"{p or ''}\n{a}" if a is not None else "" for p, a in zip(prompts, answers, strict=True)]
    return made


def _add_near(table: ScoreTable, train: Rows, held: Rows, hits: NDArray[np.bool_], *, seed: int) -> None:
    """Marks near duplicates, too. Of more than 20,000 rows of either part, so many are looked at."""
    rng = np.random.default_rng(seed)
    left = np.flatnonzero(~hits)
    left = left if len(left) <= MOST_NEAR else np.sort(rng.choice(left, MOST_NEAR, replace=False))
    some = train if len(train) <= MOST_NEAR else np.sort(rng.choice(train, MOST_NEAR, replace=False))
    with Scratch() as scratch:
        near = NearTexts(scratch)
        near.keep(text_signatures(_texts(table, held[left])))
        near.search(text_signatures(_texts(table, some)))
        hits[left] |= near.found()
