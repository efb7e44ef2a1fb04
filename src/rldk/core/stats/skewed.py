"""The mean of independent values that need not be symmetric about it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.estimates import Estimate
from rldk.core.stats.moments import skewness
from rldk.core.stats.student import t_quantile

LEAST_SKEW = 1e-6  # less is none


def skewed_mean(values: NDArray[np.float64], *, level: float = 0.95) -> Estimate:
    """The mean of two finite values or more, shape (n,), that are independent, with an interval that allows for skew.

    Its ends lie halfway between those of t and those of Hall's transformation of t, which takes out the skewness of
    the mean that the sample shows. Few values show their skewness badly: the whole correction covers too little where
    tails are heavy and symmetric (92 to 94 % for t with 3 degrees of freedom), and none too little where values are
    skewed (86 % for 15 lognormal values). Source: Hall 1992, Journal of the Royal Statistical Society B 54:221; halfway
    is our own choice. Measured: docs/evaluation-intervals.md."""
    n, mean = len(values), float(values.mean())
    sd = float(values.std(ddof=1))
    half = t_quantile(0.5 + level / 2, n - 1) / math.sqrt(n)
    skew = skewness((values - mean) / sd) if sd > 0 else 0.0
    below, above = (0.5 * sd * (end + _without_skew(end, skew, n)) for end in (half, -half))
    method = "t, half corrected for skewness"
    return Estimate(value=mean, low=mean - below, high=mean - above, n=n, clusters=n, method=method)


def _without_skew(end: float, skew: float, n: int) -> float:
    """(mean - true mean) / sd at which Hall's cubic transformation of it is `end`."""
    if not abs(skew) > LEAST_SKEW:
        return end
    return 3 / skew * (float(np.cbrt(1 + skew * (end - skew / (6 * n)))) - 1)
