"""Whether two quantities go together within groups: the partial Spearman correlation given the group, and its
interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.estimates import Coupling
from rldk.core.stats.fisher import correlation_interval
from rldk.core.stats.spearman import Ranked, rank_influence

LEAST_GROUPS = 10  # fewer groups with a signal give no interval


def within_groups(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    group: NDArray[np.int64],
    *,
    given: Sequence[NDArray[np.float64]] = (),
    cluster: NDArray[np.int64] | None = None,
) -> Coupling:
    """The correlation of the ranks of `a` and `b` within each group (ties averaged), centred by group.

    rho = sum(a b) / sqrt(sum a^2 sum b^2). Its standard error comes from the contributions of the groups (delta method
    over clusters, with n / (n - 1)), because values of one group depend on each other. The interval is that of Fisher's
    z with the quantile of t. Groups of one value say nothing. `given`: what to hold fixed. The ranks of `a` and `b` are
    then the residuals of their regression on the ranks of these (partial correlation). `cluster`: what is independent
    of each other, where that is more than a group; every group lies within one cluster."""
    ranks = GroupRanks(group, cluster)
    x, y = ranks.of(a), ranks.of(b)
    if given:
        fixed = np.column_stack([ranks.of(v) for v in given])
        x, y = residuals(x, fixed), residuals(y, fixed)
    return ranks.coupling(x, y)


class GroupRanks:
    """Ranks of values within their groups, for couplings of many features with one quantity.

    `group`: shape (n,). `cluster`: as of `within_groups`. Ranks come in the order of the groups, which is the same for
    all calls."""

    def __init__(self, group: NDArray[np.int64], cluster: NDArray[np.int64] | None = None) -> None:
        self.order = np.argsort(group, kind="stable")
        ordered = group[self.order]
        fresh = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(group) else ordered
        self._starts = fresh
        self._sizes = np.diff(np.append(fresh, len(group)))
        self._label = np.repeat(np.arange(len(self._sizes)), self._sizes)
        several = self._sizes >= 2
        self.n, self.groups = int(self._sizes[several].sum()), int(several.sum())
        self._cluster = None
        if cluster is not None and len(fresh):
            self._cluster = np.unique(cluster[self.order][fresh], return_inverse=True)[1]

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The ranks of values of shape (n,) within each group, ties averaged, minus the group's mean rank."""
        return Ranked(values[self.order], self._label, self._starts, self._sizes).centred

    def centred(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values of shape (n,) minus the mean of their group, in the same order as the ranks."""
        ordered = values[self.order]
        if not len(ordered):
            return ordered
        mean = np.add.reduceat(ordered, self._starts) / self._sizes
        made: NDArray[np.float64] = ordered - mean[self._label]
        return made

    def of_presence(self, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The same for features that are there or not, shape (n, k), without sorting any."""
        if not len(present):
            return present.astype(np.float64)
        values = present[self.order].astype(np.float64)
        mean = np.add.reduceat(values, self._starts, axis=0) / self._sizes[:, None]
        centred: NDArray[np.float64] = (values - mean[self._label]) * (0.5 * self._sizes[self._label])[:, None]
        return centred

    def coupling(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Coupling:
        """The coupling of two columns of ranks."""
        sums = [np.add.reduceat(v, self._starts) if len(v) else v for v in (x * y, x * x, y * y)]
        if self._cluster is not None:
            sums = [np.bincount(self._cluster, weights=v) for v in sums]
        return _coupling(sums[0], sums[1], sums[2], n=self.n, groups=self.groups)


def overall(a: NDArray[np.float64], b: NDArray[np.float64], block: NDArray[np.int64] | None = None) -> Coupling:
    """The plain Spearman correlation. Every pair of values is a cluster of its own.

    With `block` (batches of a run, tasks) ranks are taken within each block: differences between blocks, such as a
    drift over time, do not count. Ten blocks or more are clusters."""
    label = np.zeros(len(a), dtype=np.int64) if block is None else block
    if block is not None and (block[1:] < block[:-1]).any():
        order = np.argsort(block, kind="stable")
        a, b, label = a[order], b[order], block[order]
    _, starts, sizes = np.unique(label, return_index=True, return_counts=True)
    place = np.repeat(np.arange(len(sizes)), sizes)
    x, y = (Ranked(v, place, starts, sizes) for v in (a, b))
    products = [x.centred * y.centred, x.centred**2, y.centred**2]
    if len(sizes) >= LEAST_GROUPS:
        products = [np.add.reduceat(v, starts) for v in products]
        return _coupling(products[0], products[1], products[2], n=len(a), groups=len(a))
    rho, influence = rank_influence(x, y)
    if rho != rho:
        return Coupling(rho=math.nan, low=math.nan, high=math.nan, n=len(a), groups=len(a))
    mean = np.add.reduceat(influence, starts) / sizes
    squares = (influence - mean[place]) ** 2 * (sizes / np.maximum(1, sizes - 1))[place]
    speaking = int(((products[1] > 0) & (products[2] > 0)).sum())
    return _bounded(rho, math.sqrt(float(squares.sum())), speaking, n=len(a), groups=len(a))


def residuals(values: NDArray[np.float64], fixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a least-squares fit on the columns of `fixed`, shape (n, k), leaves."""
    with np.errstate(over="ignore", invalid="ignore"):
        cross = fixed.T @ fixed
    if not np.isfinite(cross).all():  # the columns span the same space at any scale
        largest = np.abs(fixed).max(axis=0)
        fixed = fixed / np.where(largest > 0, largest, 1.0)
        cross = fixed.T @ fixed
    left: NDArray[np.float64] = values - fixed @ (np.linalg.pinv(cross, rcond=1e-10) @ (fixed.T @ values))
    return left


def _coupling(
    xy: NDArray[np.float64], xx: NDArray[np.float64], yy: NDArray[np.float64], *, n: int, groups: int
) -> Coupling:
    """The ratio of the sums over clusters, and its interval."""
    sx, sy = float(xx.sum()), float(yy.sum())
    if not (sx > 0 and sy > 0):
        return Coupling(rho=math.nan, low=math.nan, high=math.nan, n=n, groups=groups)
    rho = min(1.0, max(-1.0, float(xy.sum()) / math.sqrt(sx * sy)))
    influence = xy / math.sqrt(sx * sy) - 0.5 * rho * (xx / sx + yy / sy)
    speaking = int(((xx > 0) & (yy > 0)).sum())
    error = math.sqrt(float((influence * influence).sum()) * speaking / max(1, speaking - 1))
    return _bounded(rho, error, speaking, n=n, groups=groups)


def _bounded(rho: float, error: float, speaking: int, *, n: int, groups: int) -> Coupling:
    """The correlation with its interval. `speaking`: the clusters that the error comes from."""
    if speaking < LEAST_GROUPS:
        return Coupling(rho=rho, low=math.nan, high=math.nan, n=n, groups=groups)
    low, high = correlation_interval(rho, error, speaking - 1)
    return Coupling(rho=rho, low=low, high=high, n=n, groups=groups, error=error)
