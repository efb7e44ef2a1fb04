"""Shares of a count: the interval of one share, and the comparison of two that were measured on the same cases."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The two-sided score interval of a share, inside [0, 1]. It is (0, 1) when nothing was counted.

    Source: Wilson 1927, "Probable inference", JASA 22. It keeps its level for small counts and for shares near 0 and 1,
    which the normal interval does not (Brown, Cai, DasGupta 2001, Statistical Science 16)."""
    return wilson_share(hits / n, n, level) if n else (0.0, 1.0)


def wilson_share(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The same from a share and a number of cases above 0, which need not be whole: the effective number of cases that
    depend on each other."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    weight = z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    return (0.0 if share == 0 else middle - half), (1.0 if share == 1 else middle + half)


def sign_test(gained: int, lost: int) -> float:
    """The two-sided p of so uneven a split when gain and loss are equally likely. It is 1 when nothing changed.

    Source: McNemar 1947, Psychometrika 12, in its exact form (binomial on the cases that changed)."""
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / (1 << n)
    return min(1.0, 2 * tail)
