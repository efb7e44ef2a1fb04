"""How clearly a score separates one group from another."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from statistics import NormalDist


def auc(above: Sequence[float], below: Sequence[float]) -> float:
    """The probability that a member of `above` scores higher than one of `below`. Ties count half. NaN without both.

    It is the area under the ROC curve, and the Mann-Whitney U divided by the number of pairs. O(n log n)."""
    if not above or not below:
        return math.nan
    ordered = sorted(below)
    wins = sum(bisect_left(ordered, x) + bisect_right(ordered, x) for x in above)
    return wins / (2 * len(above) * len(below))


def auc_interval(area: float, m: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of an AUC from groups of `m` and `n` independent members, inside [0, 1] and not empty at 1.

    Source: Newcombe 2006, Statistics in Medicine 25:559, method 5: the variance of Hanley and McNeil with both groups
    at their mean size, inverted as a score interval."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    half = (m + n) / 2 - 1

    def off(theta: float) -> float:
        spread = 1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return abs(area - theta) - z * math.sqrt(theta * (1 - theta) * spread / (m * n))

    return _edge(off, 0.0, area), _edge(off, 1.0, area)


def _edge(off: Callable[[float], float], outside: float, inside: float) -> float:
    """The point where `off` falls to 0 on the way from `outside`, where it is not negative, to `inside`."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if off(middle) > 0:
            outside = middle
        else:
            inside = middle
    return outside
