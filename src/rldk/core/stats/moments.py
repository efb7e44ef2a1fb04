"""The shape of one sample: skewness, kurtosis and their robust variants. Arrays have shape (n,) and finite values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAD_TO_SD = 1.4826  # 1 / Phi^-1(3/4)
ROUNDING = 1e-14  # a variance this small beside the squared mean is rounding


def skewness(x: NDArray[np.float64]) -> float:
    """m3 / m2^1.5, as scipy.stats.skew; NaN for fewer than 3 values and for constant ones."""
    m2, m3, _ = _central(x)
    return m3 / m2**1.5 if len(x) >= 3 and m2 > 0 else math.nan


def excess_kurtosis(x: NDArray[np.float64]) -> float:
    """m4 / m2^2 - 3, as scipy.stats.kurtosis: 0 for a normal sample; NaN for fewer than 4 values and constant ones."""
    m2, _, m4 = _central(x)
    return m4 / m2**2 - 3.0 if len(x) >= 4 and m2 > 0 else math.nan


def bowley_skewness(x: NDArray[np.float64]) -> float:
    """(q3 + q1 - 2 median) / (q3 - q1), in [-1, 1]: the skew of the middle half, whatever the tails do.

    NaN for fewer than 4 values and where the quartiles coincide."""
    if len(x) < 4:
        return math.nan
    q1, median, q3 = np.quantile(x, (0.25, 0.5, 0.75)).tolist()
    return float((q3 + q1 - 2.0 * median) / (q3 - q1)) if q3 > q1 else math.nan


def robust_sd(x: NDArray[np.float64]) -> float:
    """1.4826 * median |x - median|. Where more than half of the values are equal, it is the standard deviation, and 0
    where all are equal. NaN without values."""
    if not len(x):
        return math.nan
    spread = MAD_TO_SD * float(np.median(np.abs(x - np.median(x))))
    if spread > 0:
        return spread
    return 0.0 if float(np.ptp(x)) == 0.0 else float(x.std())


def _central(x: NDArray[np.float64]) -> tuple[float, float, float]:
    """The second to fourth central moments of the population. NaN without values; a variance that is mere rounding is
    0."""
    if not len(x):
        return math.nan, math.nan, math.nan
    centre = float(x.mean())
    d = x - centre
    squares = d * d
    m2 = float(squares.mean())
    if m2 <= ROUNDING * centre * centre:
        return 0.0, math.nan, math.nan
    return m2, float((squares * d).mean()), float((squares * squares).mean())
