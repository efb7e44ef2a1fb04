"""Effect sizes with their intervals, and the smallest difference that a sample could have shown."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.clustered import Labels, codes_of, from_influence
from rldk.core.stats.estimates import Estimate

Array = NDArray[np.float64]
LEAST = 5  # values of a sample; fewer give no effect size


def hedges_g(a: Array, b: Array, *, level: float = 0.95) -> Estimate:
    """The difference of the means, a minus b, in pooled standard deviations, corrected for small samples (g).

    The interval is the normal one with the variance (n + m) / nm + g^2 / 2(n + m). NaN where a sample has fewer than
    five values or both are constant. Source: Hedges 1981, Journal of Educational Statistics 6:107."""
    n, m = len(a), len(b)
    if min(n, m) < LEAST:
        return Estimate(value=math.nan, n=n + m, method=f"fewer than {LEAST} values")
    freedom = n + m - 2
    spread = math.sqrt(((n - 1) * float(a.var(ddof=1)) + (m - 1) * float(b.var(ddof=1))) / freedom)
    if not spread > 0:
        return Estimate(value=math.nan, n=n + m, method="no spread")
    g = float(a.mean() - b.mean()) / spread * small_sample_factor(freedom)
    return _normal(g, (n + m) / (n * m) + g * g / (2 * (n + m)), n + m, "Hedges g", level)


def paired_d_z(differences: Array, cluster: Labels | None = None, *, level: float = 0.95) -> Estimate:
    """The mean difference in standard deviations of the differences, corrected for small samples (d_z).

    The interval comes from influences, summed over `cluster`. NaN for fewer than five pairs or equal differences."""
    n = len(differences)
    spread = float(differences.std(ddof=1)) if n >= LEAST else 0.0
    if not spread > 0:
        return Estimate(value=math.nan, n=n, method="no spread" if n >= LEAST else f"fewer than {LEAST} pairs")
    z = (differences - differences.mean()) / spread
    d = float(differences.mean()) / spread
    found = from_influence(d, (z - d * (z * z - 1) / 2) / n, cluster, level=level)
    factor = small_sample_factor(n - 1)
    return Estimate(
        value=d * factor,
        low=found.low * factor,
        high=found.high * factor,
        n=n,
        clusters=found.clusters,
        method="d_z: in standard deviations of the differences",
    )


def paired_d_av(a: Array, b: Array, cluster: Labels | None = None, *, level: float = 0.95) -> Estimate:
    """The mean of a minus b, paired, in the root mean square of both standard deviations (d_av), corrected for small
    samples. NaN for fewer than five pairs or without spread."""
    n = len(a)
    pooled = (float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2 if n >= LEAST else 0.0
    if not pooled > 0:
        return Estimate(value=math.nan, n=n, method="no spread" if n >= LEAST else f"fewer than {LEAST} pairs")
    spread = math.sqrt(pooled)
    d = float((a - b).mean()) / spread
    variances = ((a - a.mean()) ** 2 + (b - b.mean()) ** 2) / 2 / pooled
    influence = ((a - b - (a - b).mean()) / spread - d * (variances - 1) / 2) / n
    found = from_influence(d, influence, cluster, level=level)
    factor = small_sample_factor(n - 1)
    return Estimate(
        value=d * factor,
        low=found.low * factor,
        high=found.high * factor,
        n=n,
        clusters=found.clusters,
        method="d_av: in standard deviations of the values",
    )


def cliffs_delta(a: Array, b: Array, *, level: float = 0.95) -> Estimate:
    """P(a > b) - P(a < b) for independent samples, in [-1, 1], with an interval from the variance of the placements.

    Source: Cliff 1993, Psychological Bulletin 114:494, with the asymmetric interval of Feng and Cliff 2004."""
    n, m = len(a), len(b)
    if min(n, m) < LEAST:
        return Estimate(value=math.nan, n=n + m, method=f"fewer than {LEAST} values")
    ordered_a, ordered_b = np.sort(a), np.sort(b)
    of_a = (ordered_b.searchsorted(a, "left") + ordered_b.searchsorted(a, "right")) / m - 1
    of_b = 1 - (ordered_a.searchsorted(b, "left") + ordered_a.searchsorted(b, "right")) / n
    delta = float(of_a.mean())
    variance = float(of_a.var(ddof=1)) / n + float(of_b.var(ddof=1)) / m
    z = NormalDist().inv_cdf(0.5 + level / 2)
    below = 1 - delta * delta + z * z * variance
    if not variance > 0 or not below > 0:
        return Estimate(value=delta, n=n + m, method="Cliff's delta; no spread for an interval")
    half = z * math.sqrt(variance) * math.sqrt((1 - delta * delta) ** 2 + z * z * variance)
    low, high = ((delta - delta**3 + sign * half) / below for sign in (-1, 1))
    return Estimate(
        value=delta, low=max(-1.0, low), high=min(1.0, high), n=n + m, clusters=n + m, method="Cliff's delta"
    )


def detectable_difference(spread: float, n: float, *, effect: float = 1.0, power: float = 0.8) -> float:
    """The smallest mean difference that a two-sided 5 % test of n values finds with that power, in the unit of
    `spread`, their standard deviation. `effect`: the design effect, 1 + (m - 1) ICC. NaN without values.

    For two independent samples of n each, `spread` is the root of the sum of both variances."""
    if not n > 0 or spread != spread:
        return math.nan
    normal = NormalDist()
    return (normal.inv_cdf(0.975) + normal.inv_cdf(power)) * spread * math.sqrt(effect / n)


def intraclass_correlation(values: Array, cluster: Labels) -> float:
    """The share of the variance that lies between clusters (ICC(1), from the analysis of variance), not below 0.

    NaN for fewer than two clusters, or where no cluster has two values. Source: Donner 1986, with unequal sizes."""
    label = codes_of(cluster)
    sizes = np.bincount(label).astype(np.float64)
    count, n = len(sizes), len(values)
    if count < 2 or n <= count:
        return math.nan
    centres = np.bincount(label, weights=values) / sizes
    between = float((sizes * (centres - values.mean()) ** 2).sum()) / (count - 1)
    within = float(((values - centres[label]) ** 2).sum()) / (n - count)
    usual = (n - float((sizes**2).sum()) / n) / (count - 1)
    total = between + (usual - 1) * within
    return max(0.0, (between - within) / total) if total > 0 else math.nan


def small_sample_factor(freedom: int) -> float:
    """The factor that makes a standardised difference unbiased: gamma(f / 2) / (sqrt(f / 2) gamma((f - 1) / 2))."""
    return math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)


def _normal(value: float, variance: float, n: int, method: str, level: float) -> Estimate:
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(variance)
    return Estimate(value=value, low=value - half, high=value + half, n=n, clusters=n, method=method)
