"""The distance between two samples. Arrays have shape (n,) and (m,) and finite values. NaN when one is empty."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def wasserstein(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The first Wasserstein distance, in the unit of the samples: the area between the two distribution functions."""
    if not len(a) or not len(b):
        return math.nan
    every = np.sort(np.concatenate((a, b)))
    steps = np.diff(every)
    at_a = np.sort(a).searchsorted(every[:-1], side="right") / len(a)
    at_b = np.sort(b).searchsorted(every[:-1], side="right") / len(b)
    return float((np.abs(at_a - at_b) * steps).sum())


def jensen_shannon(a: NDArray[np.float64], b: NDArray[np.float64], *, bins: int | None = None) -> float:
    """The Jensen-Shannon divergence in bits: 0 for samples that look alike, 1 for samples that do not overlap.

    It is the mean Kullback-Leibler divergence of both from their mixture: symmetric, finite and bounded. Bins have
    equal mass in the two samples together. By default there is one for every ten values of the smaller sample, and 4 to
    20 in all. The bias for samples of one distribution is about bins / (8 n ln 2) bits with n values each."""
    if not len(a) or not len(b):
        return math.nan
    count = bins or max(4, min(20, min(len(a), len(b)) // 10))
    edges = np.unique(np.quantile(np.concatenate((a, b)), np.linspace(0.0, 1.0, count + 1)[1:-1]))
    p = np.bincount(edges.searchsorted(a, side="right"), minlength=len(edges) + 1) / len(a)
    q = np.bincount(edges.searchsorted(b, side="right"), minlength=len(edges) + 1) / len(b)
    mixed = 0.5 * (p + q)
    return max(0.0, 0.5 * (_relative_entropy(p, mixed) + _relative_entropy(q, mixed)))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
