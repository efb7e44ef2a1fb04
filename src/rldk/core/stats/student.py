"""Quantiles of Student's t distribution, without scipy."""

from __future__ import annotations

import math
from statistics import NormalDist


def t_quantile(share: float, freedom: float) -> float:
    """The value below which that share of the distribution lies. `freedom`: degrees of freedom, 1 or more.

    Exact for one and two degrees, otherwise within 1e-4 of the exact value for shares from 0.001 to 0.999. Source: Hill
    1970, Communications of the ACM 13:619, algorithm 396."""
    if share < 0.5:
        return -t_quantile(1 - share, freedom)
    tails = 2 * (1 - share)
    if tails == 1:
        return 0.0
    if freedom == 1:
        return 1 / math.tan(tails * math.pi / 2)
    if freedom == 2:
        return math.sqrt(2 / (tails * (2 - tails)) - 2)
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    x = d * tails
    y = x ** (2 / freedom)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(tails / 2)
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        y = ((1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)) * y
             - 1) * (freedom + 1) / (freedom + 2) + 1 / y  # fmt: skip
    return math.sqrt(freedom * y)
