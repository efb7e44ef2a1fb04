"""Whether two quantities go together within groups: the partial Spearman correlation given the group, and its
interval."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

CONFIDENCE_Z = 1.959963985  # two-sided 95 % of a normal distribution
LEAST_GROUPS = 10  # fewer groups with a signal give no interval


class Coupling(Struct, frozen=True, kw_only=True):
    """`rho` in [-1, 1]. `low`, `high`: its 95 % interval, NaN with too few groups. `n`: values in groups of at least
    two; `groups`: the number of such groups."""

    rho: float
    low: float
    high: float
    n: int
    groups: int

    @property
    def least(self) -> float:
        """The bound of the interval nearest to zero, as a strength. It is 0 when the interval holds zero, NaN without
        one."""
        if self.low != self.low:
            return math.nan
        return max(self.low, -self.high, 0.0)


def within_groups(a: NDArray[np.float64], b: NDArray[np.float64], group: NDArray[np.int64]) -> Coupling:
    """The correlation of the ranks of `a` and `b` within each group (ties averaged), centred by group.

    rho = sum(a b) / sqrt(sum a^2 sum b^2). Its standard error comes from the contributions of the groups (delta method
    over clusters, with n / (n - 1)), because values of one group depend on each other. Groups of one value say
    nothing."""
    order = np.argsort(group, kind="stable")
    _, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    label = np.repeat(np.arange(len(sizes)), sizes)
    several = sizes >= 2
    x = _centred_ranks(a[order], label, starts, sizes)
    y = _centred_ranks(b[order], label, starts, sizes)
    xy, xx, yy = (np.add.reduceat(v, starts) if len(v) else v for v in (x * y, x * x, y * y))
    n, groups = int(sizes[several].sum()), int(several.sum())
    return _coupling(xy, xx, yy, n=n, groups=groups)


def overall(a: NDArray[np.float64], b: NDArray[np.float64], block: NDArray[np.int64] | None = None) -> Coupling:
    """The plain Spearman correlation. Every pair of values is a cluster of its own.

    With `block` (batches of a run, in order) ranks are taken within each batch, so that a common drift over time is
    left out."""
    label = np.zeros(len(a), dtype=np.int64) if block is None else block
    _, starts, sizes = np.unique(label, return_index=True, return_counts=True)
    place = np.repeat(np.arange(len(sizes)), sizes)
    x, y = (_centred_ranks(v, place, starts, sizes) for v in (a, b))
    return _coupling(x * y, x * x, y * y, n=len(a), groups=len(a))


def _coupling(
    xy: NDArray[np.float64], xx: NDArray[np.float64], yy: NDArray[np.float64], *, n: int, groups: int
) -> Coupling:
    """The ratio of the sums over clusters, and its interval."""
    sx, sy = float(xx.sum()), float(yy.sum())
    if not (sx > 0 and sy > 0):
        return Coupling(rho=math.nan, low=math.nan, high=math.nan, n=n, groups=groups)
    rho = float(xy.sum()) / math.sqrt(sx * sy)
    influence = xy / math.sqrt(sx * sy) - 0.5 * rho * (xx / sx + yy / sy)
    speaking = int(((xx > 0) & (yy > 0)).sum())
    if speaking < LEAST_GROUPS:
        return Coupling(rho=rho, low=math.nan, high=math.nan, n=n, groups=groups)
    error = math.sqrt(float((influence * influence).sum()) * speaking / (speaking - 1))
    low, high = max(-1.0, rho - CONFIDENCE_Z * error), min(1.0, rho + CONFIDENCE_Z * error)
    return Coupling(rho=rho, low=low, high=high, n=n, groups=groups)


def _centred_ranks(
    values: NDArray[np.float64], label: NDArray[np.int64], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average ranks within each group minus the group's mean rank. `values` are sorted by group."""
    if not len(values):
        return values
    order = np.lexsort((values, label))
    ordered, grouped = values[order], label[order]
    fresh = np.concatenate(([True], (ordered[1:] != ordered[:-1]) | (grouped[1:] != grouped[:-1])))
    first = np.flatnonzero(fresh)
    last = np.concatenate((first[1:], [len(values)])) - 1
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(0.5 * (first + last), last - first + 1)
    centre: NDArray[np.float64] = starts[label] + 0.5 * (sizes[label] - 1)
    return ranks - centre
