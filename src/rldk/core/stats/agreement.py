"""How far several scorers of the same things are apart, on scales that make their scores comparable."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.clustered import average_ranks

Array = NDArray[np.float64]


def centred_scores(values: Array) -> Array:
    """The values minus their median, in units of their median absolute deviation times 1.4826 (the standard deviation
    of a normal sample). Where more than half of them are equal the unit is the standard deviation; all 0 for a
    constant."""
    off = values - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(off))) or float(off.std())
    made: Array = off / spread if spread > 0 else np.zeros_like(off)
    return made


def normal_scores(values: Array) -> Array:
    """The quantile of the standard normal at (rank - 1/2) / n of each value; equal values share their mean rank.

    Any rising transformation of the values gives the same scores. Source: van der Waerden 1952."""
    table = np.array(_half_quantiles(len(values)))
    made: Array = table[np.rint(2 * (average_ranks(values) - 1)).astype(np.int64)] if len(values) else values
    return made


def spread_between(scores: Array) -> Array:
    """The standard deviation (n - 1) between the columns of `scores`, shape (n, scorers), for each row."""
    made: Array = scores.std(axis=1, ddof=1)
    return made


def mean_rank_correlation(scores: Array) -> float:
    """The mean of Spearman's correlation over all pairs of columns. NaN where a column is constant."""
    ranks = np.column_stack([average_ranks(column) for column in scores.T])
    if not bool((np.ptp(ranks, axis=0) > 0).all()):
        return float("nan")
    first, second = np.triu_indices(ranks.shape[1], 1)
    scaled = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
    return float((scaled[:, first] * scaled[:, second]).mean())


@lru_cache(maxsize=4)
def _half_quantiles(n: int) -> tuple[float, ...]:
    """The quantiles at the ranks 1, 1.5, 2, ... n."""
    inverse = NormalDist().inv_cdf
    return tuple(inverse((place / 2 + 0.5) / n) for place in range(2 * n - 1))
