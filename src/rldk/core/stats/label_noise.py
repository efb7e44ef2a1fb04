"""How many labels of pairs are wrong at random, from how often clear pairs go against the score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.calibration import sigmoid
from rldk.core.stats.estimates import Estimate

Array = NDArray[np.float64]
BINS = 400  # of |margin| that the likelihood is computed over
GRID = np.linspace(0.0, 0.49, 99)
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
    inside = GRID[weight * (best.max() - best) <= HALF_QUANTILE]
    step = float(GRID[1])
    low, high = max(0.0, float(inside[0]) - (step if inside[0] > 0 else 0.0)), min(0.5, float(inside[-1]) + step)
    value = float(GRID[int(best.argmax())])
    return Estimate(
        value=value, low=low, high=high, n=len(used), clusters=clusters or len(used), method="profile likelihood"
    )


def _likelihood(e: float, agree: Array, right: Array, count: NDArray[np.int64]) -> float:
    """The largest log-likelihood over all slopes."""
    p = np.clip(e + (1 - 2 * e) * agree, 1e-12, 1 - 1e-12)
    return float((right * np.log(p) + (count - right) * np.log1p(-p)).sum(axis=1).max())
