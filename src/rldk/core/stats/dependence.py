"""Whether a score goes with a setting: rank correlation with an interval, and a permutation test of both kinds."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DRAWS = 9999  # permutations: the least p-value is 1e-4


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's correlation of two arrays (n,); NaN where one of them has one value only."""
    return _correlation(_ranks(first), _ranks(second))


def rank_correlation_interval(correlation: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of Spearman's correlation of `n` pairs; NaN with fewer than 5.

    Source: Bonett and Wright 2000, Psychometrika 65:23, Fisher's z with the variance (1 + r^2/2) / (n - 3)."""
    if n < 5 or math.isnan(correlation):
        return math.nan, math.nan
    z = math.atanh(min(max(correlation, -1 + 1e-9), 1 - 1e-9))
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt((1 + correlation**2 / 2) / (n - 3))
    return math.tanh(z - half), math.tanh(z + half)


def explained_rank_share(labels: NDArray[np.int64], scores: Array) -> float:
    """The share of the variance of the ranks of the scores (n,) that lies between the labels (n,), 0 to 1; NaN where
    all scores are equal.

    It is Kruskal and Wallis's H divided by n - 1. Of labels that mean nothing it is (labels - 1) / (n - 1) on
    average."""
    ranks = _ranks(scores)
    total = float(np.sum((ranks - ranks.mean()) ** 2))
    return _between(labels, ranks[None])[0] / total if total else math.nan


def permutation_p(labels: NDArray[np.int64], scores: Array, *, ordered: Array | None = None, seed: int) -> float:
    """The p-value of so strong a dependence of the scores (n,) on the labels (n,), from random permutations.

    `ordered`: numbers (n,) in place of labels; then the statistic is the size of Spearman's correlation, otherwise the
    variance of ranks between the labels. 1 where all scores are equal. Source: Phipson and Smyth 2010, for the one
    that is added to both counts."""
    ranks = _ranks(scores)
    if not np.ptp(ranks):
        return 1.0
    rng = np.random.default_rng(seed)
    drawn = np.vstack([ranks, rng.permuted(np.tile(ranks, (DRAWS, 1)), axis=1)])
    if ordered is None:
        found = _between(labels, drawn)
    else:
        by = _ranks(ordered)
        found = np.abs(drawn @ (by - by.mean()))
    as_far = np.count_nonzero(found[1:] >= found[0] * (1 - 1e-12))
    return (1 + int(as_far)) / (1 + DRAWS)


def least_p(labels: NDArray[np.int64]) -> float:
    """The smallest p-value that a permutation test of these labels (n,) can have, at two sides: one of all orders that
    can be told apart, and its mirror image."""
    counts = np.unique(labels, return_counts=True)[1].tolist()
    ways = math.factorial(sum(counts)) // math.prod(math.factorial(count) for count in counts)
    return min(1.0, 2 / ways)


def _between(labels: NDArray[np.int64], drawn: Array) -> Array:
    """The sum of squares between the labels for each row of ranks (draws, n)."""
    member = np.unique(labels)[:, None] == labels[None, :]
    means = (drawn @ member.T) / member.sum(axis=1)
    made: Array = ((means - drawn.mean(axis=1, keepdims=True)) ** 2) @ member.sum(axis=1)
    return made


def _ranks(values: Array) -> Array:
    """The ranks from 1 up; equal values share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def _correlation(first: Array, second: Array) -> float:
    a, b = first - first.mean(), second - second.mean()
    power = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / power if power else math.nan
