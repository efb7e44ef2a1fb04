"""Scores of several runs in a few numbers that outliers do not rule. Axes: tasks, then runs of each task.

The methods are those of Agarwal et al. 2021 (Deep Reinforcement Learning at the Edge of the Statistical Precipice),
with a generator that is seeded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.ranking import auc

Array = NDArray[np.float64]
DRAWS = 2000
BAND_DRAWS = 1000  # for each position of a curve
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
TWO_SIDED, POWER = 1.96, 0.84  # normal quantiles of a 5 % test with 80 % power


def interquartile_mean(tasks: Sequence[Array]) -> float:
    """The mean of the middle half of all scores; NaN without any."""
    return float(interquartile_means(tasks))


def interquartile_means(tasks: Sequence[Array]) -> Array:
    """The same over the last axis of arrays, as for many resamples of each task at once."""
    scores = np.sort(np.concatenate([np.asarray(task, dtype=np.float64) for task in tasks], axis=-1), axis=-1)
    size = scores.shape[-1]
    if not size:
        return np.full(scores.shape[:-1], math.nan)
    cut = int(0.25 * size)
    return np.asarray(scores[..., cut : size - cut].mean(axis=-1), dtype=np.float64)


def stratified_interval(
    tasks: Sequence[Array], statistic: Callable[[Sequence[Array]], Array], *, seed: int, draws: int = DRAWS
) -> tuple[float, float]:
    """The percentile interval (95 %) of a statistic, from resamples of the runs within each task. NaN where no task has
    two runs.

    `statistic` works on the last axis of arrays (draws, runs), one a task. It is too narrow for few runs: of three, it
    cannot be wider than their range."""
    if max((np.asarray(task).size for task in tasks), default=0) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    drawn = [np.asarray(task)[rng.integers(0, np.asarray(task).size, (draws, np.asarray(task).size))] for task in tasks]
    low, high = np.quantile(statistic(drawn), TAILS)
    return float(low), float(high)


def interquartile_band(curves: Array, *, seed: int, draws: int = BAND_DRAWS) -> tuple[Array, Array, Array]:
    """The interquartile mean of curves (runs, n) at each position, and its pointwise 95 % percentile interval, each
    (n,); the interval is NaN for one run.

    A draw takes whole runs, so the band keeps what neighbouring positions have in common. It is pointwise: a curve may
    leave it somewhere by chance. It is too narrow for few runs, as `stratified_interval` is."""
    across = np.asarray(curves, dtype=np.float64).T
    middle = interquartile_means([across])
    if curves.shape[0] < 2:
        return middle, np.full(middle.shape, math.nan), np.full(middle.shape, math.nan)
    drawn = np.random.default_rng(seed).integers(0, curves.shape[0], (draws, curves.shape[0]))
    ends = np.array([np.quantile(interquartile_means([row[drawn]]), TAILS) for row in across])
    return middle, ends[:, 0], ends[:, 1]


def spread_interval(scores: Array) -> tuple[float, float]:
    """The 95 % interval of the standard deviation among runs (n,), if their scores are normal; NaN for fewer than two.

    It is the chi-squared interval: of five runs it reaches from 0.6 to 2.9 times the observed one."""
    from scipy.stats import chi2

    if scores.size < 2:
        return math.nan, math.nan
    power = float(scores.var(ddof=1)) * (scores.size - 1)
    low, high = (math.sqrt(power / float(chi2.ppf(share, scores.size - 1))) for share in reversed(TAILS))
    return low, high


def seed_share(groups: Sequence[Array]) -> float | None:
    """The share of the variance of all scores that lies within the groups, 0 to 1: what the seed decides, and not the
    group. None without two groups, without a group of two runs, or where all scores are equal."""
    sized = [np.asarray(group) for group in groups if np.asarray(group).size]
    if len(sized) < 2 or max(group.size for group in sized) < 2:
        return None
    pooled = np.concatenate(sized)
    total = float(np.sum((pooled - pooled.mean()) ** 2))
    within = sum(float(np.sum((group - group.mean()) ** 2)) for group in sized)
    return within / total if total else None


def probability_of_improvement(first: Sequence[Array], second: Sequence[Array]) -> float:
    """The probability that a run of `first` scores higher than one of `second`: the mean over tasks. A tie is half."""
    return float(np.mean([auc(list(a), list(b)) for a, b in zip(first, second, strict=True)]))


def performance_profile(tasks: Sequence[Array], levels: Array) -> Array:
    """For each level the share of runs that score higher (mean over tasks)."""
    shares = [np.mean(np.asarray(task)[:, None] > levels[None, :], axis=0) for task in tasks]
    made: Array = np.mean(shares, axis=0)
    return made


def seeds_needed(first: Array, second: Array, *, least: int = 3) -> int | None:
    """How many runs each group would need to show a difference of the observed size with 80 % power at 5 %; at least
    `least`.

    None where a group has fewer than two runs, or the means are equal."""
    if min(first.size, second.size) < 2:
        return None
    gap = float(first.mean() - second.mean())
    variance = (float(first.var(ddof=1)) + float(second.var(ddof=1))) / 2
    if gap == 0:
        return None
    return max(least, math.ceil(2 * (TWO_SIDED + POWER) ** 2 * variance / gap**2))
