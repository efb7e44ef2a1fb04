"""Whether a series rises or falls steadily: the slope of Theil and Sen, and the test of Mann and Kendall."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

FEWEST = 4  # values
MOST = 2000  # values: all pairs of them are formed


class MonotoneTrend(Struct, frozen=True, kw_only=True):
    """`slope`: per unit of the positions, with its interval `low`..`high` of 95 %. `p`: of the one-sided test that the
    series rises; 1 - p is that of a fall. `n`: how many values."""

    slope: float
    low: float
    high: float
    p: float
    n: int


def monotone_trend(positions: NDArray[np.float64], values: NDArray[np.float64]) -> MonotoneTrend:
    """The trend of `values` (n,) over ascending `positions` (n,), all finite.

    The slope is the median over all pairs (Sen 1968). The test is that of Mann and Kendall with the variance for ties,
    multiplied by what the autocorrelation of the ranks adds (Hamed and Rao 1998, with the first n/4 lags; never below
    1, so that alternating values do not make a trend more certain). Quadratic in n.

    Raises `ValueError` for fewer than `FEWEST` values, more than `MOST`, or positions that do not ascend."""
    n = len(values)
    if not FEWEST <= n <= MOST or len(positions) != n or not bool((np.diff(positions) > 0).all()):
        raise ValueError(f"a trend needs {FEWEST} to {MOST} values at ascending positions")
    first, second = np.triu_indices(n, 1)
    rises = values[second] - values[first]
    slopes = np.sort(rises / (positions[second] - positions[first]))
    score = float(np.sign(rises).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    variance *= _inflation(positions, values, float(np.median(slopes)))
    spread = math.sqrt(variance)
    z = 0.0 if spread == 0 else (score - math.copysign(1, score) * (score != 0)) / spread
    reach = 1.959964 * spread / 2
    middle, last = len(slopes) / 2, len(slopes) - 1
    return MonotoneTrend(
        slope=float(np.median(slopes)),
        low=float(slopes[max(0, math.floor(middle - reach))]),
        high=float(slopes[min(last, math.ceil(middle + reach))]),
        p=0.5 * math.erfc(z / math.sqrt(2)),
        n=n,
    )


def _inflation(positions: NDArray[np.float64], values: NDArray[np.float64], slope: float) -> float:
    """What the autocorrelation of the ranks of the detrended values does to the variance of the score; 1 or more."""
    n = len(values)
    ranks = np.argsort(np.argsort(values - slope * positions, kind="stable"), kind="stable").astype(np.float64)
    ranks -= ranks.mean()
    power = float((ranks * ranks).sum())
    if power == 0:
        return 1.0
    total = 0.0
    for lag in range(1, n // 4 + 1):
        share = float((ranks[lag:] * ranks[:-lag]).sum()) / power
        if abs(share) > 1.959964 / math.sqrt(n):  # only what is no chance, as the authors do
            total += (n - lag) * (n - lag - 1) * (n - lag - 2) * share
    return max(1.0, 1.0 + 2.0 * total / (n * (n - 1) * (n - 2)))
