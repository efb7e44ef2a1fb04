"""What a metric had gained and has lost again, its own noise, and its own line: for the first blocks of runs, with
numpy. See `arrays`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.arrays import SIMPLE, Array, FirstValues, after_first, fill, later, noises, windows
from rldk.engine.features.drawdown import EDGE, FEWEST, HUGE, MATERIAL, STEPS, Drawdown
from rldk.engine.features.line_test import ARMED, LATEST, RECENT
from rldk.engine.features.noise_ratio import LEAST
from rldk.engine.features.window import PAST_WINDOW, Median

CERTAIN = 1.0 - 1e-9  # of a bound, which is a rounded number, too
CANCELLED = 1e-11  # of a running sum: more than what the rounding of its differences amounts to


def levels(line: FirstValues, rows: int, after: int) -> tuple[Array, Array]:
    """As `Top(rows, after).levels`: the top and the bottom after each of the values."""
    half = rows // 2
    tops, bottoms = fill(line.values.shape), np.full(line.values.shape, math.inf)
    means = line.sums(half)[:, half - 1 :] / half
    if means.shape[1] <= half:
        return tops, bottoms
    newer, older = means[:, half:], means[:, :-half]
    high, low = np.maximum(newer, older), np.minimum(newer, older)
    lowest = np.minimum.accumulate(np.concatenate((older[:, :1], high[:, 1:]), axis=1), axis=1)
    start = 2 * half - 1  # the position of the first pair
    skipped = max(0, after - 1 - start)  # pairs that end too early to count
    bottoms[:, start : start + skipped] = math.inf
    counting = low[:, skipped:]
    if not counting.shape[1]:
        return tops, bottoms
    best = np.maximum.accumulate(counting, axis=1)
    at = np.zeros(best.shape, dtype=np.int64)
    at[:, 1:] = np.where(best[:, 1:] > best[:, :-1], np.arange(1, best.shape[1]), 0)
    tops[:, start + skipped :] = best
    bottoms[:, start + skipped :] = np.take_along_axis(lowest[:, skipped:], np.maximum.accumulate(at, axis=1), axis=1)
    return tops, bottoms


def drawdown(line: FirstValues, rows: int, top: int, clear: float, after: int) -> Array:
    """As `Drawdown(rows, top, clear, after)`. Where rounding decides whether the gain was clear, it is asked itself."""
    tops, bottoms = levels(line, top, after)
    sums = line.sums(rows)
    edge = max(1, rows // 5)
    ends = line.sums(edge)
    usual, least, most = _noise(line, rows)
    with np.errstate(all="ignore"):
        gain, lost = tops - bottoms, tops - sums / rows
        matters = (MATERIAL * np.maximum(np.abs(tops), np.abs(bottoms)) < lost) & (lost < math.inf)
        matters &= gain > clear * (np.maximum(usual, least) / math.sqrt(2.0))
        sure = gain > clear * (np.maximum(usual, most) / math.sqrt(2.0)) / CERTAIN
        left = tops - np.maximum(later(ends, rows - edge), ends) / edge
        found: Array = np.where(matters & sure, np.minimum(lost, left + EDGE * gain) / gain, 0.0)
    one = Drawdown(rows, top, clear, after)
    kept = STEPS + rows + 1
    for run, row in np.argwhere(matters & ~sure).tolist():
        values = line.values[run, max(0, row + 1 - kept) : row + 1].tolist()
        found[run, row] = one.lost(float(tops[run, row]), float(bottoms[run, row]), float(sums[run, row]), values)
    return found


def _noise(line: FirstValues, rows: int) -> tuple[Array, Array, Array]:
    """The robust scale of the steps before the newest rows, where NaN is infinite, and two numbers between which the
    root mean square of all steps surely lies."""
    steps = STEPS + rows
    squares = np.zeros(line.values.shape)
    np.minimum(line.steps.values, HUGE, out=squares[:, 1:])
    sums = np.cumsum(squares * squares, axis=1)
    part, error = sums.copy(), CANCELLED * sums
    part[:, steps:] -= sums[:, :-steps]
    counts = np.minimum(np.maximum(np.arange(part.shape[1]), 1), steps)
    usual = MAD_TO_SD * after_first(line.steps.medians(STEPS, rows, FEWEST))
    usual[np.isnan(usual)] = math.inf
    return usual, CERTAIN * np.sqrt(np.maximum(part - error, 0.0) / counts), np.sqrt((part + error) / counts) / CERTAIN


def unrest(line: FirstValues, window: int, log: bool, relative: bool, floor: float) -> Array | None:
    """As `Unrest(window, log, relative, floor)`."""
    if log:
        line = FirstValues(_logs(line))
        if not line.is_plain:
            return None
    now = noises(line, window)[:, window - 1 :]
    found = fill(line.values.shape)
    if relative:
        size = np.abs(line.medians(window)[:, window - 1 :])
        if not size.all():
            return None
        now = now / size
    if not now.shape[1]:
        return found
    if not np.isfinite(now).all():
        return None
    past = np.array([Median(PAST_WINDOW, window, LEAST).run(values) for values in now.tolist()], dtype=np.float64)
    usual = np.where(floor > past, floor, past)
    with np.errstate(all="ignore"):
        still = np.where(now == 0.0, 1.0, math.inf)
        found[:, window - 1 :] = np.where(usual > 0.0, now / usual, np.where(np.isnan(usual), usual, still))
    return found


def beyond(line: FirstValues, log: bool, floor: float) -> list[list[int]]:  # noqa: ARG001 - as of the feature
    """For each run, the rows on which the line test has to look at the line: the latest values are all above or all
    below the recent ones."""
    rows, values = line.values.shape[1], _logs(line) if log else line.values
    if rows < ARMED:
        return [[] for _ in values]
    latest, recent = windows(values, LATEST), windows(values, RECENT)
    newest, before = latest[:, RECENT:], recent[:, : rows - RECENT - LATEST + 1]
    off = (newest.min(axis=-1) > before.max(axis=-1)) | (newest.max(axis=-1) < before.min(axis=-1))
    off = off[:, ARMED - RECENT - LATEST :]
    return [(np.flatnonzero(one) + ARMED - 1).tolist() for one in off]


def _logs(line: FirstValues) -> Array:
    """The logarithms as the features take them, which numpy does not give to the last bit."""
    return np.array([[math.log(max(x, 1e-12)) for x in values] for values in line.values.tolist()])


ARRAYS: dict[str, Callable[..., Array | None]] = {
    **SIMPLE,
    "top": lambda line, rows, after: levels(line, rows, after)[0],
    "drawdown": drawdown,
    "unrest": unrest,
}
# kind -> for each run what the `run` of the feature may be told beside the values, which saves it most of its work
HINTS: dict[str, Callable[..., list[list[int]]]] = {"leap": beyond}
