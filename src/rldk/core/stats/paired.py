"""Tests of paired differences, and p-values that allow for many tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

EXACT = 50  # pairs up to which the distribution is computed; the normal one is close beyond


def signed_rank_p(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test of whether independent differences are symmetric about 0.

    Zeros are left out, and equal sizes share their mean rank. The value is exact for up to `EXACT` differences, also
    with ties; for more it is the normal approximation without continuity correction. It is 1 if all differences are 0,
    and NaN if one is not finite. Source: Wilcoxon 1945; Pratt 1959 for the treatment of ties."""
    data = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(data).all():
        return math.nan
    data = data[data != 0]
    if not data.size:
        return 1.0
    doubled = _doubled_ranks(np.abs(data))  # whole numbers, where mean ranks end in a half
    positive = int(doubled[data > 0].sum())
    return _exact(doubled, positive) if data.size <= EXACT else _normal(doubled, positive)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number: whoever rejects all of at most `a` has one false alarm with probability
    `a`.

    A NaN is not a test: it stays NaN and is not counted. Source: Holm 1979, Scandinavian Journal of Statistics 6:65."""
    tested = sorted((p, i) for i, p in enumerate(p_values) if p == p)
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for place, (p, i) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - place) * p))
        adjusted[i] = highest
    return adjusted


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number: of those that are at most `a`, a share of at most `a` is expected to be
    false.

    A NaN is not a test: it stays NaN and is not counted. Source: Benjamini and Hochberg 1995, JRSS B 57:289."""
    tested = sorted(((p, i) for i, p in enumerate(p_values) if p == p), reverse=True)
    adjusted = [math.nan] * len(p_values)
    least = 1.0
    for place, (p, i) in enumerate(tested):
        least = min(least, p * len(tested) / (len(tested) - place))
        adjusted[i] = least
    return adjusted


def _doubled_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the rank of each size, from 2 up; equal sizes get the average of their ranks."""
    _, group, count = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    doubled: NDArray[np.int64] = (2 * last - count + 1).astype(np.int64)
    return doubled[group]


def _exact(doubled: NDArray[np.int64], positive: int) -> float:
    """The exact p-value, from the number of ways in which signs give each sum of positive ranks."""
    total = int(doubled.sum())
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    for rank in doubled.tolist():
        ways[rank:] += ways[:-rank].copy()
    share = ways / ways.sum()
    smaller = min(positive, total - positive)
    return min(1.0, 2 * float(share[: smaller + 1].sum()))


def _normal(doubled: NDArray[np.int64], positive: int) -> float:
    ranks = doubled / 2
    deviation = math.sqrt(float(np.sum(ranks**2)) / 4)  # which is less with ties
    z = (positive / 2 - float(ranks.sum()) / 2) / deviation
    return 2 * NormalDist().cdf(-abs(z))
