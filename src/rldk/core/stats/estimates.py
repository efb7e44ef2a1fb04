"""Numbers with their intervals, as values. Nothing here computes, so that rules may name them without numpy."""

from __future__ import annotations

import math
from statistics import NormalDist

from msgspec import Struct


class Estimate(Struct, frozen=True, kw_only=True):
    """A number with its two-sided interval. `low`, `high` are NaN where there is none. `n`: values; `clusters`: how
    many of them are independent. `method`: how the interval was made."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    clusters: int = 0
    method: str = ""

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return self.low == self.low


class Coupling(Struct, frozen=True, kw_only=True):
    """`rho` in [-1, 1]. `low`, `high`: its 95 % interval, NaN with too few groups. `n`: values in groups of at least
    two; `groups`: the number of such groups. `error`: the standard error of `rho`, NaN without an interval."""

    rho: float
    low: float
    high: float
    n: int
    groups: int
    error: float = math.nan

    @property
    def least(self) -> float:
        """The bound of the interval nearest to zero, as a strength. It is 0 when the interval holds zero, NaN without
        one."""
        if self.low != self.low:
            return math.nan
        return max(self.low, -self.high, 0.0)

    @property
    def p(self) -> float:
        """The two-sided p-value of no correlation, from the standard error of Fisher's z. NaN without an interval."""
        error, rest = self.error, 1 - self.rho * self.rho
        if error != error:
            return math.nan
        return 2 * NormalDist().cdf(-abs(math.atanh(self.rho)) * rest / error) if error > 0 and rest > 0 else 0.0


class ReliabilityParts(Struct, frozen=True, kw_only=True):
    """The Brier score and its parts: brier = miscalibration - discrimination + uncertainty."""

    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
