"""How often two scores order the same two things in the same way."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]


class OrderAgreement(Struct, frozen=True, kw_only=True):
    """Pairs of things that two scores put in order. `tied`: pairs that at least one score does not order."""

    agree: int
    disagree: int
    tied_a: int
    tied_b: int
    tied_both: int

    @property
    def tau(self) -> float:
        """Kendall's tau-b; NaN where a score is constant."""
        moved = self.agree + self.disagree
        a, b = moved + self.tied_b, moved + self.tied_a  # pairs that the first score orders, and the second
        return (self.agree - self.disagree) / math.sqrt(a * b) if a and b else math.nan

    @property
    def flips(self) -> float:
        """The share of pairs that both scores order and order differently; NaN without such pairs."""
        moved = self.agree + self.disagree
        return self.disagree / moved if moved else math.nan


def order_agreement(a: Array, b: Array) -> OrderAgreement:
    """Counts all pairs of the n values, in O(n log^2 n). Source: Knight 1966, JASA 61:436."""
    n = len(a)
    order = np.lexsort((b, a))
    x, y = a[order], b[order]
    disagree = _inversions(np.unique(y, return_inverse=True)[1])
    fresh = np.concatenate((np.ones(min(n, 1), dtype=bool), (x[1:] != x[:-1]) | (y[1:] != y[:-1])))
    both = _pairs(np.diff(np.append(np.flatnonzero(fresh), n)))
    of_a, of_b = (_pairs(np.unique(v, return_counts=True)[1]) for v in (a, b))
    total = n * (n - 1) // 2
    agree = total - of_a - of_b + both - disagree
    return OrderAgreement(agree=agree, disagree=disagree, tied_a=of_a - both, tied_b=of_b - both, tied_both=both)


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes.astype(np.int64) * (sizes.astype(np.int64) - 1) // 2).sum())


def _inversions(ranks: NDArray[np.int64]) -> int:
    """How many pairs stand in falling order: bottom-up merge sort, each width as one array operation."""
    n = len(ranks)
    if n < 2:
        return 0
    size = 1 << (n - 1).bit_length()
    top = int(ranks.max()) + 1
    work = np.full(size, top, dtype=np.int64)  # the padding sorts to the end
    work[:n] = ranks
    found, width = 0, 1
    while width < size:
        blocks = work.reshape(-1, 2, width)
        lifted = blocks + (np.arange(len(blocks)) * (top + 1))[:, None, None]
        left, right = lifted[:, 0].ravel(), lifted[:, 1].ravel()
        place = np.searchsorted(left, right, side="right")
        ends = np.repeat((np.arange(len(blocks)) + 1) * width, width)
        found += int((ends - place).sum())
        work = np.sort(work.reshape(-1, 2 * width), axis=1).ravel()
        width *= 2
    return found
