"""Curves whose spread grows with their level, brought to a scale on which it does not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCKS = 8  # of steps, each with its mean and its variance
LEAST_BLOCKS = 4
RANGE = 2.0  # times by which the level must change before anything can be said of its variance
# The variance of a count, and of a share that is far from 1, grows as its mean: the slope is 1, and the root makes the
# variance constant (Bartlett 1936). From this slope on the root is nearer to a constant variance than the value is.
SLOPE = 0.75
ROUNDING = 1e-9  # of the level: curves that are as near to each other are equal


def grows_with_level(curves: Array) -> bool:
    """Whether the variance among curves (runs, n) grows as their mean does, or faster: the slope of its logarithm over
    that of the mean (Taylor's power law, 1961). False where a value is negative or not finite, and where the level
    hardly changes."""
    if curves.shape[1] < BLOCKS or not np.isfinite(curves).all() or curves.min() < 0:
        return False
    edges = np.linspace(0, curves.shape[1], BLOCKS + 1).astype(np.int64)
    parts = [curves[:, start:stop] for start, stop in pairwise(edges.tolist())]
    with np.errstate(over="ignore"):
        level = np.array([part.mean() for part in parts])
        variance = np.array([part.var(axis=0, ddof=1).mean() for part in parts])
    known = np.isfinite(level) & np.isfinite(variance) & (level > 0)
    known &= variance > np.square(ROUNDING * level)
    level, variance = level[known], variance[known]
    if level.size < LEAST_BLOCKS or level.max() < RANGE * level.min():
        return False
    x = np.log(level) - np.log(level).mean()
    return float(x @ np.log(variance) / (x @ x)) >= SLOPE


def signed_root(values: Array) -> Array:
    """The square root of the size of each value, with its sign. NaN and infinity stay as they are."""
    made: Array = np.sign(values) * np.sqrt(np.abs(values))
    return made


def signed_square(values: Array) -> Array:
    """What `signed_root` was taken of."""
    with np.errstate(over="ignore"):
        made: Array = values * np.abs(values)
    return made
