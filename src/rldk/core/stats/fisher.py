"""Intervals of correlations."""

from __future__ import annotations

import math

from rldk.core.stats.student import t_quantile


def correlation_interval(r: float, error: float, freedom: float, *, level: float = 0.95) -> tuple[float, float]:
    """The ends of the interval of a correlation with this standard error: tanh(atanh r +- t error / (1 - r^2)).

    `freedom`: degrees of freedom of `error`, 1 or more. The error of a correlation shrinks as the correlation grows, so
    that an interval that is symmetric about `r` lies too high for strong correlations; that of Fisher's z does not, and
    it stays within -1 and 1. Both ends are `r` where the error is 0. Source: Fisher 1921, Metron 1:3; for rank
    correlations Bonett and Wright 2000, Psychometrika 65:23. Measured: docs/reward.md."""
    rest = 1 - r * r
    if not error > 0 or rest <= 0:
        return r, r
    z, half = math.atanh(r), t_quantile(0.5 + level / 2, freedom) * error / rest
    return math.tanh(z - half), math.tanh(z + half)
