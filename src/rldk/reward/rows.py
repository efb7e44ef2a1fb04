"""Which rows a check looks at: those with what it needs, and of too many some whole prompts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.clustered import codes_of
from rldk.reward.table import Array, Codes, ScoreTable

LEAST = 30  # answers
LEAST_GROUPS = 10


def finite_rows(*columns: Array | None) -> NDArray[np.int64]:
    """The rows, rising, on which all of the columns are finite. A missing column has no such rows."""
    if any(column is None for column in columns):
        return np.zeros(0, dtype=np.int64)
    kept = np.isfinite(columns[0])  # type: ignore[arg-type]  # none is None
    for column in columns[1:]:
        kept &= np.isfinite(column)  # type: ignore[arg-type]  # as above
    return np.flatnonzero(kept)


def has_groups(group: Codes | None, rows: NDArray[np.int64]) -> bool:
    """Whether at least ten prompts have two answers or more among the rows."""
    if group is None or not len(rows):
        return False
    own = group[rows]
    own = own[own >= 0]
    if not len(own):
        return False
    return int((np.bincount(codes_of(own)) >= 2).sum()) >= LEAST_GROUPS


def some_rows(table: ScoreTable, rows: NDArray[np.int64], most: int, *, seed: int) -> NDArray[np.int64]:
    """At most about that many of the rows: whole groups, drawn at random, else single rows. They stay in order."""
    if len(rows) <= most:
        return rows
    rng = np.random.default_rng(seed)
    if table.group is None:
        return np.sort(rng.choice(rows, most, replace=False))
    label = codes_of(table.group[rows])
    count = int(label.max()) + 1
    sizes = np.bincount(label, minlength=count)
    order = rng.permutation(count)
    taken = max(1, int(np.searchsorted(np.cumsum(sizes[order]), most, side="right")))
    kept = np.zeros(count, dtype=bool)
    kept[order[:taken]] = True
    return rows[kept[label]]


def grouped(table: ScoreTable, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the rows whose prompt is known."""
    return rows if table.group is None else rows[table.group[rows] >= 0]


def clusters_of(table: ScoreTable, rows: NDArray[np.int64]) -> Codes | None:
    """What is independent of each other among the rows: prompts; None where no prompt is known. A row without its
    prompt is one of its own."""
    if table.prompt is None:
        return None
    own = table.prompt[rows]
    lone = own < 0
    if lone.any():
        own = own.copy()
        own[lone] = int(own.max()) + 1 + np.arange(int(lone.sum()))
    return own
