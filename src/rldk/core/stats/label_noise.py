"""How many labels of pairs are wrong at random, from how often clear pairs go against the score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.calibration import sigmoid
from rldk.core.stats.estimates import Estimate

Array = NDArray[np.float64]
BINS = 400  # of |margin| that the likelihood is computed over
LARGEST = 0.49
GRID = LARGEST * np.linspace(0.0, 1.0, 99) ** 2  # shares, the nearer to 0 the denser
SCALES = np.geomspace(1e-2, 1e3, 121)  # slopes in units of 1 / the median |margin|
HALF_QUANTILE = 1.920729  # half the 95 % quantile of chi-square with one degree of freedom


def flipped_share(margins: Array, *, clusters: int | None = None) -> Estimate:
    """The share of labels that were flipped at random. `margins`: score of the preferred answer minus that of the
    other.

    P(the score agrees with the label) = e + (1 - 2 e) sigmoid(a |margin|). Here `e` is the flipped share, and `a` is
    what the margins are worth. The value is the maximum of the likelihood, the interval its profile. Where margins are
    never clear (agreement still rises at the largest ones), the interval is wide. `clusters`: the number of independent
    prompts, where pairs share them; the likelihood is then weighted by clusters / pairs. Source: the lapse rate of
    psychometric functions, Wichmann and Hill 2001, Perception & Psychophysics 63:1293. Margins of 0 are left out; NaN
    for fewer than 30 others."""
    used = margins[np.isfinite(margins) & (margins != 0)]
    if len(used) < 30:
        return Estimate(value=math.nan, n=len(used), method="too few pairs")
    size, hits = np.abs(used), used > 0
    order = np.argsort(size, kind="stable")
    edges = np.unique(np.linspace(0, len(used), min(BINS, len(used)) + 1).astype(np.int64))
    count = np.diff(edges)
    mean = np.add.reduceat(size[order], edges[:-1]) / count
    right = np.add.reduceat(hits[order].astype(np.float64), edges[:-1])
    agree = sigmoid(SCALES[:, None] / np.median(size) * mean)  # (slopes, bins)
    best = np.array([_likelihood(e, agree, right, count) for e in GRID])
    weight = min(1.0, clusters / len(used)) if clusters else 1.0
    place, top = _peak(best)
    depth = np.sqrt(np.maximum(0.0, weight * (top - best) / HALF_QUANTILE))  # 1 at the ends of the interval
    middle = int(best.argmax())
    low, high = _crossing(GRID[middle::-1], depth[middle::-1], 0.0), _crossing(GRID[middle:], depth[middle:], 0.5)
    value = LARGEST * (place / (len(GRID) - 1)) ** 2
    return Estimate(
        value=value, low=low, high=high, n=len(used), clusters=clusters or len(used), method="profile likelihood"
    )


def _likelihood(e: float, agree: Array, right: Array, count: NDArray[np.int64]) -> float:
    """The largest log-likelihood over all slopes."""
    p = np.clip(e + (1 - 2 * e) * agree, 1e-12, 1 - 1e-12)
    return _peak((right * np.log(p) + (count - right) * np.log1p(-p)).sum(axis=1))[1]


def _peak(heights: Array) -> tuple[float, float]:
    """Where the parabola through the largest of evenly spaced heights and its neighbours is highest, and how high."""
    top = int(heights.argmax())
    if not 0 < top < len(heights) - 1:
        return float(top), float(heights[top])
    before, here, after = heights[top - 1 : top + 2].tolist()
    bend = 2 * here - before - after
    if not bend > 0:
        return float(top), here
    shift = 0.5 * (after - before) / bend
    return top + shift, here + 0.25 * (after - before) * shift


def _crossing(shares: Array, depth: Array, edge: float) -> float:
    """The outermost share at which `depth` reaches 1, going away from the best one; `edge` where it does not."""
    last = int(np.flatnonzero(depth <= 1)[-1])
    if last == len(depth) - 1:
        return edge
    return float(np.interp(1.0, depth[last : last + 2], shares[last : last + 2]))
