"""Intervals from resampling. Every random draw comes from a seed: the same input gives the same interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
CELLS = 1 << 22  # of resampled values held at a time, 32 MB
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # over the last axis


def means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the last axis."""
    return np.asarray(np.mean(values, axis=-1), dtype=np.float64)


def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median over the last axis."""
    return np.asarray(np.median(values, axis=-1), dtype=np.float64)


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64],
    statistic: Statistic = means,
    *,
    seed: int,
    level: float = 0.95,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """The bias-corrected and accelerated (BCa) bootstrap interval of a statistic of independent values.

    It is NaN if there are fewer than two values, or if one is not finite. The values must be independent; values of
    neighbouring steps are not (see `batch_means`). Source: Efron 1987, JASA 82:171, with the acceleration of the
    jackknife."""
    data = np.asarray(values, dtype=np.float64)
    if data.size < 2 or not np.isfinite(data).all():
        return math.nan, math.nan
    found = np.sort(_draw(data, statistic, np.random.default_rng(seed), draws))
    estimate = float(statistic(data))
    if found[0] == found[-1]:
        return float(found[0]), float(found[-1])
    below = (float(np.mean(found < estimate)) + float(np.mean(found <= estimate))) / 2
    below = min(max(below, 0.5 / draws), 1 - 0.5 / draws)  # an estimate beyond every draw has no quantile
    shift, push = NormalDist().inv_cdf(below), _acceleration(data, statistic)
    low, high = (_corrected(shift, push, NormalDist().inv_cdf(tail)) for tail in ((1 - level) / 2, (1 + level) / 2))
    return float(np.quantile(found, low)), float(np.quantile(found, high))


def batch_means(values: Sequence[float] | NDArray[np.float64], batches: int) -> NDArray[np.float64]:
    """The means of `batches` groups of neighbouring values. Their sizes differ by at most one; if there are fewer
    values than groups, the values come back unchanged.

    The means of groups that are long enough are nearly independent, even where neighbours depend on each other."""
    data = np.asarray(values, dtype=np.float64)
    if data.size <= batches:
        return data
    return np.array([part.mean() for part in np.array_split(data, batches)])


def _draw(data: NDArray[np.float64], statistic: Statistic, rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    at_once = max(1, CELLS // data.size)
    sizes = [min(at_once, draws - begun) for begun in range(0, draws, at_once)]
    return np.concatenate([statistic(data[rng.integers(0, data.size, (size, data.size))]) for size in sizes])


def _acceleration(data: NDArray[np.float64], statistic: Statistic) -> float:
    """The acceleration, from the statistics that leave out one value each; 0 if these are all equal."""
    left_out = np.array([float(statistic(np.delete(data, i))) for i in range(data.size)])
    off = left_out.mean() - left_out
    scale = float(np.sum(off**2)) ** 1.5
    return float(np.sum(off**3)) / (6 * scale) if scale else 0.0


def _corrected(shift: float, push: float, z: float) -> float:
    """The share of the draws below the corrected end of the interval."""
    room = 1 - push * (shift + z)
    return NormalDist().cdf(shift + (shift + z) / room) if room > 0 else float(z > 0)
