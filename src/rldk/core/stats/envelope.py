"""Whether a curve leaves the range of several others of its kind, with one error rate for all steps and all signals.

The limit comes from the other curves alone: each of them is compared with the rest as the new one is, and the largest
excursions of all of them give the distribution that the new one is judged by (the max-T method of Westfall and Young
1993, with a log-normal prediction bound in place of permutations, of which five curves allow too few). The variance of
the bound is a moderated one (Smyth 2004): that of few curves is shrunk towards a usual one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]
SMOOTHING = (1.0, 0.3, 0.1)  # weights of the newest value: abrupt changes show in the first, small ones in the last
CLIP = 4.0  # standard deviations to which a value is cut before it is smoothed: one outlier is no trend
ALPHA = 0.01  # nominal; the measured share of false alarms is in docs/diff.md
# The standard deviation of log excursions, and the degrees of freedom with which it counts beside that of the curves:
# five curves that happen to agree do not prove that a sixth will. Simulated groups of five have 0.09 to 0.16.
PRIOR_SPREAD, PRIOR_FREEDOM = 0.2, 4
FURTHEST = 1e6  # the distance of a value that is not finite, or that differs where all the others agree
EXCURSION = 1.0  # smaller ones count as this


class Excursion(Struct, frozen=True, kw_only=True):
    """How far one signal of a run left the range of the others.

    `start`: the first position of the first `k` consecutive ones beyond the limit, None where there are none. `score`:
    the largest excursion in limits. `peak`: where that is. `p`: adjusted for all steps and all signals. `middle`,
    `half`: arrays (n,), the centre of the range and its half width at the limit."""

    start: int | None
    score: float
    peak: int
    p: float
    middle: Array
    half: Array


def excursions(
    curves: Mapping[str, tuple[Array, Array]], *, persistence: int = 3, reach: int = 12, factor: float = 1.0
) -> dict[str, Excursion]:
    """The excursion of each signal. `curves`: signal -> (values of the run (n,), values of the others (R, n)).

    The same R >= 3 runs must stand behind every signal. `persistence`: how many consecutive values must be beyond the
    limit on the same side. `reach`: positions on both sides over which the variance among runs is averaged. `factor`
    multiplies the limit. NaN and infinity are as far away as anything can be. Raises `ValueError` for fewer runs."""
    runs = {others.shape[0] for _, others in curves.values()}
    if len(runs) != 1 or min(runs) < 3:
        raise ValueError("the same three or more runs must stand behind every signal")
    count = runs.pop()
    own, theirs = {}, {}
    for name, (values, others) in curves.items():
        scores = _distances(values, others, reach)
        rest = [_distances(others[i], np.delete(others, i, axis=0), reach) for i in range(count)]
        for weight in SMOOTHING:
            own[name, weight] = persistent(smooth(scores, weight), persistence)
            largest = [np.max(persistent(smooth(each, weight), persistence), initial=0.0) for each in rest]
            theirs[name, weight] = np.log(np.maximum(largest, EXCURSION))
    level = {key: float(logs.mean()) for key, logs in theirs.items()}
    highest = np.max([logs - level[key] for key, logs in theirs.items()], axis=0)  # (R,), over all signals
    centre = float(highest.mean())
    freedom = count - 1 + PRIOR_FREEDOM
    power = (count - 1) * float(highest.var(ddof=1)) + PRIOR_FREEDOM * PRIOR_SPREAD**2
    spread = math.sqrt(power / freedom * (1 + 1 / count))
    bound = centre + _t_quantile(1 - ALPHA, freedom) * spread + math.log(factor)
    made = {}
    for name, (_, others) in curves.items():
        limits = {weight: math.exp(bound + level[name, weight]) for weight in SMOOTHING}
        ratios = np.array([own[name, weight] / limits[weight] for weight in SMOOTHING])
        best = ratios.max(axis=0) if ratios.size else np.zeros(0)
        beyond = np.flatnonzero(best > 1)
        score = float(best.max(initial=0.0))
        p = _t_tail((math.log(max(score, 1e-300)) + bound - centre) / spread, freedom)
        half = limits[1.0] * _scale(others, reach) * math.sqrt(1 + 1 / count)
        made[name] = Excursion(
            start=int(beyond[0]) if beyond.size else None,
            score=score,
            peak=int(best.argmax()) if best.size else 0,
            p=p,
            middle=others.mean(axis=0),
            half=half,
        )
    return made


def smooth(scores: Array, weight: float) -> Array:
    """The exponentially weighted mean of the scores, cut at `CLIP`; the scores themselves for a weight of 1."""
    if weight >= 1:
        return scores
    made = np.empty_like(scores)
    level = 0.0
    for i, value in enumerate(np.clip(scores, -CLIP, CLIP).tolist()):
        level += weight * (value - level)
        made[i] = level
    return made


def persistent(scores: Array, count: int) -> Array:
    """For each position the distance that the next `count` scores, from it on, all keep on the same side; 0 where they
    do not. It has n - count + 1 places, none where there are fewer scores."""
    if scores.size < count:
        return np.zeros(0)
    each = np.lib.stride_tricks.sliding_window_view(scores, count)
    found: Array = np.maximum(np.maximum(each.min(axis=1), -each.max(axis=1)), 0.0)
    return found


def _distances(values: Array, others: Array, reach: int) -> Array:
    """The distance from the mean of the others in standard deviations of a new one (n,)."""
    count = others.shape[0]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        off = values - others.mean(axis=0)
        scaled = np.where(off == 0, 0.0, off / (_scale(others, reach) * math.sqrt(1 + 1 / count)))
    lost = ~np.isfinite(values)
    scaled[lost] = FURTHEST
    bounded: Array = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=FURTHEST, neginf=-FURTHEST), -FURTHEST, FURTHEST)
    return bounded


def _scale(others: Array, reach: int) -> Array:
    """The standard deviation among the others: half from the neighbourhood of each step, half from all steps."""
    with np.errstate(invalid="ignore", over="ignore"):
        variance = np.nan_to_num(others.var(axis=0, ddof=1))
        total = np.concatenate([[0.0], np.cumsum(variance)])
    places = np.arange(variance.size)
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, variance.size)
    near = np.maximum(total[high] - total[low], 0.0) / (high - low)
    rounding = 1e-9 * np.abs(np.nan_to_num(others.mean(axis=0)))
    scale: Array = np.maximum(np.sqrt(0.5 * near + 0.5 * variance.mean()), rounding)
    return scale


def _t_quantile(share: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(share, freedom))


def _t_tail(value: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.sf(value, freedom))
