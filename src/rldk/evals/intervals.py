"""Which interval a number of an evaluation gets: it depends on the kind of value, and on what is independent."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.clustered import Labels, clustered_mean, clustered_share, codes_of
from rldk.core.stats.contrasts import clopper_pearson
from rldk.core.stats.effects import detectable_difference, intraclass_correlation
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.proportions import wilson_share
from rldk.core.stats.skewed import skewed_mean
from rldk.core.stats.student import t_quantile

Array = NDArray[np.float64]
LEAST = 10  # values; fewer give no interval
MANY = 2000  # clusters beyond which t and the bootstrap agree
FEW_CLUSTERS = 20
DRAWS = 2000
CELLS = 1 << 21
ASSUMED = 0.5  # intraclass correlation where none can be estimated
MOST_LEVEL = 1 - 1e-6  # of a t quantile with one degree of freedom


def rate(hits: Array, cluster: Labels | None) -> Estimate:
    """The share of hits (0 and 1, finite), with Wilson's interval; by clusters, on the effective number of cases.

    For few clusters the normal quantile is replaced by that of t. With no hits or nothing but hits, an intraclass
    correlation of 0.5 is assumed, because the data has none to estimate."""
    cluster = _several(cluster)
    if cluster is None or not len(hits):
        return clustered_share(hits)
    sizes = np.bincount(codes_of(cluster))
    level = 2 * NormalDist().cdf(t_quantile(0.975, max(1, len(sizes) - 1))) - 1
    level = min(level, MOST_LEVEL)
    found = clustered_share(hits, cluster, level=level)
    if 0 < found.value < 1:
        return found
    effect = 1 + (float((sizes**2).sum()) / len(hits) - 1) * ASSUMED
    low, high = wilson_share(found.value, len(hits) / effect, level)
    method = "Wilson, with an assumed ICC of 0.5"
    return Estimate(value=found.value, low=low, high=high, n=found.n, clusters=found.clusters, method=method)


def rare(hits: Array) -> Estimate:
    """The share of hits that should not be there at all, with the exact interval of Clopper and Pearson."""
    n = len(hits)
    if not n:
        return Estimate(value=math.nan, method="no cases")
    low, high = clopper_pearson(int(hits.sum()), n)
    return Estimate(value=float(hits.mean()), low=low, high=high, n=n, clusters=n, method="Clopper-Pearson")


def average(values: Array, cluster: Labels | None, *, seed: int) -> Estimate:
    """The mean of finite values with its interval.

    With clusters that hold several values: the cluster bootstrap, or cluster-robust t for fewer than 20 or more than
    2,000 clusters. Otherwise t with half of the correction for skewness, and none for fewer than 10 values."""
    cluster = _several(cluster)
    if cluster is not None:
        label = codes_of(cluster)
        count = int(label.max()) + 1
        if FEW_CLUSTERS <= count <= MANY:
            return _cluster_bootstrap(values, label, count, seed)
        return clustered_mean(values, label)
    if len(values) < LEAST:
        mean = float(values.mean()) if len(values) else math.nan
        return Estimate(value=mean, n=len(values), clusters=len(values), method=f"fewer than {LEAST} values")
    return skewed_mean(values)


def smallest_difference(values: Array, cluster: Labels | None) -> float | None:
    """The smallest difference of a mean from a fixed value that these values find with 80 % power at 5 %.

    None for fewer than ten values, or where all are equal. The design effect is 1 + (m - 1) ICC for clusters of m
    values."""
    n = len(values)
    if n < LEAST or not float(np.ptp(values)) > 0:
        return None
    cluster, effect = _several(cluster), 1.0
    if cluster is not None:
        label = codes_of(cluster)
        within = intraclass_correlation(values, label)
        size = float((np.bincount(label) ** 2).sum()) / n
        effect = 1 + (size - 1) * (0.0 if within != within else within)
    return detectable_difference(float(values.std(ddof=1)), n, effect=effect)


def _several(cluster: Labels | None) -> Labels | None:
    """The clusters where at least one holds two values; None where all values are independent."""
    if cluster is None or not len(cluster) or len(np.unique(cluster)) == len(cluster):
        return None
    return cluster


def _cluster_bootstrap(values: Array, label: Labels, count: int, seed: int) -> Estimate:
    """Percentiles of the means of resampled clusters.

    Both ends are widened by t / z and sqrt(G / (G - 1)), without which the interval is too narrow for few clusters
    (Hesterberg 2015, The American Statistician 69:371)."""
    sums, sizes = np.bincount(label, weights=values), np.bincount(label).astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn: list[Array] = []
    at_once = max(1, CELLS // count)
    for begun in range(0, DRAWS, at_once):
        chosen = rng.integers(0, count, (min(at_once, DRAWS - begun), count))
        drawn.append(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1))
    mean = float(values.mean())
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    wider = t_quantile(0.975, count - 1) / 1.959963985 * math.sqrt(count / (count - 1))
    return Estimate(
        value=mean,
        low=mean - (mean - float(low)) * wider,
        high=mean + (float(high) - mean) * wider,
        n=len(values),
        clusters=count,
        method="cluster bootstrap",
    )
