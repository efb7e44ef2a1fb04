"""How a metric of one run differs from that of another."""

from __future__ import annotations

import math

from msgspec import Struct


class MetricDifference(Struct, frozen=True, kw_only=True):
    """How a metric of table number `other` differs from that of the baseline. Differences are other - baseline.

    `n`: common steps. `alone`: values of the baseline and of the other without a partner. `diverges_at`: the first
    common step at which they are not equal within the tolerance, None where there is none. `median`: of the
    differences that are finite. `low`, `high`: a bootstrap interval (nominally 95 %) of their mean. `p`: of a paired
    test. `adjusted_p`: the same, adjusted for all tests of the comparison. NaN where there are too few steps."""

    metric: str
    other: int
    n: int
    alone: tuple[int, int]
    diverges_at: int | None
    median: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    adjusted_p: float = math.nan
