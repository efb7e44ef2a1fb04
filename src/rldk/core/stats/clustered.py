"""Means, differences and scales of values that depend on each other within clusters, such as answers to one prompt."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.estimates import Estimate
from rldk.core.stats.fisher import correlation_interval
from rldk.core.stats.student import t_quantile

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
LEAST_FREEDOM = 3.0  # of a ratio
LEAST_REST = 0.5  # of a sum: a cluster that holds more says nothing about how much it may differ from others
LEAST_CLUSTERS = 5  # fewer give no interval: the variance among them is not known


def from_influence(value: float, influence: Array, cluster: Labels | None, *, level: float = 0.95) -> Estimate:
    """The estimate whose error is the sum of the values' influences, shape (n,), over independent clusters.

    The interval is value +- t * sqrt(sum of squared cluster sums * G / (G - 1)), t with G - 1 degrees of freedom for G
    clusters. Without `cluster` every value is one. Source: the sandwich of Liang and Zeger 1986, Biometrika 73."""
    error, count = error_of(influence, cluster)
    if error != error or not math.isfinite(value):
        return Estimate(value=value, n=len(influence), clusters=count, method="too few clusters for an interval")
    half = t_quantile(0.5 + level / 2, count - 1) * error
    method = "t" if cluster is None else "cluster-robust t"
    return Estimate(value=value, low=value - half, high=value + half, n=len(influence), clusters=count, method=method)


def error_of(influence: Array, cluster: Labels | None) -> tuple[float, int]:
    """The standard error of a sum of influences, shape (n,), over independent clusters, and how many there are. NaN for
    fewer than five."""
    sums = influence if cluster is None else np.bincount(codes_of(cluster), weights=influence)
    count = len(sums)
    if count < LEAST_CLUSTERS:
        return math.nan, count
    return math.sqrt(float((sums * sums).sum()) * count / (count - 1)), count


def clustered_mean(values: Array, cluster: Labels | None = None, *, level: float = 0.95) -> Estimate:
    """The mean of finite values with an interval that allows for dependence within clusters. NaN without values."""
    if not len(values):
        return Estimate(value=math.nan, method="no values")
    mean = float(values.mean())
    return from_influence(mean, (values - mean) / len(values), cluster, level=level)


def clustered_difference(a: Array, b: Array, cluster_a: Labels | None, cluster_b: Labels | None) -> Estimate:
    """mean(a) - mean(b). The samples may share clusters, which are then those with the same label."""
    if not len(a) or not len(b):
        return Estimate(value=math.nan, method="no values")
    influence = np.concatenate(((a - a.mean()) / len(a), -(b - b.mean()) / len(b)))
    return from_influence(float(a.mean() - b.mean()), influence, _joined(cluster_a, cluster_b, len(a), len(b)))


def clustered_ratio(a: Array, b: Array, cluster: Labels | None = None, *, level: float = 0.95) -> Estimate:
    """sum(a) / sum(b) over n things, such as log-probabilities and tokens of texts. NaN where sum(b) is not above 0.

    The residual of a cluster is a - ratio b. The ratio is a regression through the origin with weights 1 / b, so that a
    cluster with the share h = b / sum(b) draws it to itself: squared residuals are divided by 1 - h (HC2; MacKinnon and
    White 1985, Journal of Econometrics 29:305). Where a few clusters hold most of b, few degrees of freedom remain:
    (sum v)^2 / sum v^2 with v = b^2 / (1 - h), as if a cluster's error grew with its b (Satterthwaite 1946), 3 at the
    least. There is no interval where one cluster holds more than half of b. The interval is symmetric for the logarithm
    of a ratio above 0. Measured: docs/evaluation-intervals.md."""
    n, total = len(a), float(b.sum())
    if not total > 0:
        return Estimate(value=math.nan, n=n, method="no values")
    ratio = float(a.sum()) / total
    if cluster is not None:
        label = codes_of(cluster)
        a, b = (np.bincount(label, weights=v).astype(np.float64) for v in (a, b))
    count, rest = len(a), 1 - b / total
    if count < LEAST_CLUSTERS or float(rest.min()) < LEAST_REST:
        few = "too few clusters for an interval" if count < LEAST_CLUSTERS else "one cluster holds more than half"
        return Estimate(value=ratio, n=n, clusters=count, method=few)
    error = math.sqrt(float(((a - ratio * b) ** 2 / rest).sum())) / total
    spread = b * b / rest
    freedom = max(LEAST_FREEDOM, float(spread.sum()) ** 2 / float((spread * spread).sum()))
    half = t_quantile(0.5 + level / 2, freedom) * error
    if ratio > 0:
        low, high = ratio * math.exp(-half / ratio), ratio * math.exp(half / ratio)
    else:
        low, high = ratio - half, ratio + half
    method = "t of the log, leverage-corrected"
    return Estimate(value=ratio, low=low, high=high, n=n, clusters=count, method=method)


def clustered_mean_ratio(
    values: Array, first: NDArray[np.bool_], second: NDArray[np.bool_], cluster: Labels | None = None
) -> Estimate:
    """The mean of the values in `first` over that in `second`, two parts of one sample that do not overlap; the
    interval is symmetric for its logarithm. NaN where a mean is not above 0.

    The influence of a value on the log of a mean is (x - mean) / (mean * n)."""
    parts = [values[chosen] for chosen in (first, second)]
    means = [float(part.mean()) if len(part) else 0.0 for part in parts]
    if not (min(means) > 0 and 0 < means[0] / means[1] < math.inf):
        return Estimate(value=math.nan, method="no mean above 0")
    influence = np.zeros(len(values))
    for sign, chosen, part, mean in zip((1, -1), (first, second), parts, means, strict=True):
        influence[chosen] = sign * (part - mean) / (mean * len(part))
    used = first | second
    own = None if cluster is None else cluster[used]
    log = from_influence(math.log(means[0] / means[1]), influence[used], own)
    low, high = (math.exp(x) if x == x else x for x in (log.low, log.high))
    return Estimate(value=math.exp(log.value), low=low, high=high, n=log.n, clusters=log.clusters,
                    method=f"{log.method}, of the log")  # fmt: skip


def clustered_scale_ratio(a: Array, b: Array, cluster_a: Labels | None, cluster_b: Labels | None) -> Estimate:
    """sd(a) / sd(b); the interval is symmetric for its logarithm. NaN where one of them is constant.

    The influence of a value on log sd is ((x - mean)^2 / variance - 1) / 2n."""
    spread = [float(x.std()) if len(x) else 0.0 for x in (a, b)]
    if not (min(spread) > 0 and 0 < spread[0] / spread[1] < math.inf):
        return Estimate(value=math.nan, method="no spread")
    parts = [((x - x.mean()) ** 2 / s**2 - 1) / (2 * len(x)) for x, s in zip((a, b), spread, strict=True)]
    influence = np.concatenate((parts[0], -parts[1]))
    log = from_influence(math.log(spread[0] / spread[1]), influence, _joined(cluster_a, cluster_b, len(a), len(b)))
    low, high = (math.exp(x) if x == x else x for x in (log.low, log.high))
    return Estimate(
        value=math.exp(log.value),
        low=low,
        high=high,
        n=log.n,
        clusters=log.clusters,
        method=f"{log.method}, of the log",
    )


def paired_scale_ratio(a: Array, b: Array, cluster: Labels | None) -> Estimate:
    """sd(b) / sd(a) of two scores of the same n things; the interval is symmetric for its logarithm. NaN where one of
    them is constant."""
    spread = [float(x.std()) if len(x) else 0.0 for x in (a, b)]
    if not min(spread) > 0:
        return Estimate(value=math.nan, method="no spread")
    parts = [((x - x.mean()) / s) ** 2 for x, s in zip((a, b), spread, strict=True)]
    log = from_influence(math.log(spread[1] / spread[0]), (parts[1] - parts[0]) / (2 * len(a)), cluster)
    low, high = (math.exp(x) if x == x else x for x in (log.low, log.high))
    return Estimate(
        value=math.exp(log.value),
        low=low,
        high=high,
        n=log.n,
        clusters=log.clusters,
        method=f"{log.method}, of the log",
    )


def clustered_correlation(a: Array, b: Array, cluster: Labels | None) -> Estimate:
    """Pearson's correlation of n pairs of values, with an interval that allows for dependence within clusters.

    The influence of a pair is x y - r (x^2 + y^2) / 2 in standard units; the interval is that of Fisher's z. NaN where
    a score is constant."""
    if len(a) < 2 or not (float(np.ptp(a)) > 0 and float(np.ptp(b)) > 0):
        return Estimate(value=math.nan, n=len(a), method="no spread")
    x, y = ((v - v.mean()) / v.std() for v in (a, b))
    r = float(np.clip((x * y).mean(), -1.0, 1.0))
    error, count = error_of((x * y - r * (x * x + y * y) / 2) / len(a), cluster)
    if error != error:
        return Estimate(value=r, n=len(a), clusters=count, method="too few clusters for an interval")
    low, high = correlation_interval(r, error, count - 1)
    method = "t of Fisher's z" if cluster is None else "cluster-robust t of Fisher's z"
    return Estimate(value=r, low=low, high=high, n=len(a), clusters=count, method=method)


def average_ranks(values: Array) -> Array:
    """The rank of each value, from 1; equal values share their mean rank."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(values) else order
    sizes = np.diff(np.append(first, len(values)))
    made = np.empty(len(values))
    made[order] = np.repeat(first + (sizes + 1) / 2, sizes)
    return made


def clustered_share(hits: NDArray[np.bool_] | Array, cluster: Labels | None = None, *, level: float = 0.95) -> Estimate:
    """The share of hits, with Wilson's interval on the effective number of cases: n / (the design effect of clusters).

    The design effect is the cluster-robust variance of the share divided by that of independent cases, and 1 at the
    least. With no hits or nothing but hits it is 1, because there is no variance to estimate it from. A hit may be a
    half (a tie). NaN without cases."""
    from rldk.core.stats.proportions import wilson_share

    n = len(hits)
    if not n:
        return Estimate(value=math.nan, method="no cases")
    share = float(hits.mean())
    effect, clusters = 1.0, n
    if cluster is not None:
        off = np.bincount(codes_of(cluster), weights=hits - share)
        clusters = len(off)
        if 0 < share < 1 and clusters > 1:
            robust = float((off * off).sum()) * clusters / (clusters - 1)
            effect = max(1.0, robust / (n * share * (1 - share)))
    low, high = wilson_share(share, n / effect, level)
    method = "Wilson" if cluster is None else "Wilson, with the design effect of clusters"
    return Estimate(value=share, low=low, high=high, n=n, clusters=clusters, method=method)


def codes_of(labels: Labels) -> Labels:
    """The labels as numbers from 0 up, without gaps."""
    if len(labels) and int(labels.min()) >= 0 and int(labels.max()) < 2 * len(labels):
        used = np.zeros(int(labels.max()) + 1, dtype=bool)
        used[labels] = True
        if used.all():
            return labels
        return (np.cumsum(used) - 1)[labels].astype(np.int64)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _joined(first: Labels | None, second: Labels | None, n: int, m: int) -> Labels | None:
    if first is None and second is None:
        return None
    one = np.arange(n) if first is None else first
    two = np.arange(m) + (int(one.max()) + 1 if n else 0) if second is None else second
    return np.concatenate((one, two)).astype(np.int64)
