"""Shares of a count: the interval of one share, and the comparison of two that were measured on the same cases."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The two-sided score interval of a share, inside [0, 1]. It is (0, 1) when nothing was counted.

    Source: Wilson 1927, "Probable inference", JASA 22. It keeps its level for small counts and for shares near 0 and 1,
    which the normal interval does not (Brown, Cai, DasGupta 2001, Statistical Science 16)."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, weight = hits / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def sign_test(gained: int, lost: int) -> float:
    """The two-sided p of so uneven a split when gain and loss are equally likely. It is 1 when nothing changed.

    Source: McNemar 1947, Psychometrika 12, in its exact form (binomial on the cases that changed)."""
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / (1 << n)
    return min(1.0, 2 * tail)
