"""P-values from intervals."""

from __future__ import annotations

import math
from statistics import NormalDist

from rldk.core.stats.estimates import Estimate


def normal_p(estimate: Estimate, null: float = 0.0) -> float | None:
    """The two-sided p-value of `null`, from the half width of the 95 % interval; None without one.

    It is that of a normal distribution with the interval's own width, and agrees with the interval: below 0.05 exactly
    where `null` is outside a symmetric interval."""
    if not estimate.bounded:
        return None
    half = (estimate.high - estimate.value) if estimate.value < null else (estimate.value - estimate.low)
    if not half > 0:
        return 1.0 if estimate.value == null else 0.0
    z = abs(estimate.value - null) / (half / 1.959963985)
    return math.nan if z != z else 2 * NormalDist().cdf(-z)
