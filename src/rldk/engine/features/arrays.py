"""The features of the first blocks of runs, computed with numpy from all of their values at once.

Each function gives the values that the feature of its kind would give after each value, with the same bits. Arrays have
shape (runs, rows), so that one call serves one run or many. A short run is one block, and there these functions save
most of the time that its features take. The features themselves know nothing of it: they take the values later, if a
row after the block asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.exact import window_sums
from rldk.engine.features.holding import FEWEST, LONG
from rldk.engine.features.line_test import ARMED
from rldk.engine.features.window import HUGE, NAN, Median

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
MOST_SORTED = 64  # values of a window; sorting longer ones again for each row costs more than keeping them sorted


class FirstValues:
    """The values of one metric in each run, and what several features are made from.

    Runs of different lengths are filled up at the end: no feature looks ahead, so that what is made of the filling is
    never seen. `is_plain`: no value is -0.0 or so large that differences overflow. Only then are the bits surely the
    same."""

    __slots__ = ("_medians", "_starts", "_steps", "_sums", "is_plain", "values")

    def __init__(self, values: Sequence[float] | Array) -> None:
        self.values: Array = np.atleast_2d(np.array(values, dtype=np.float64))
        self.is_plain = bool((np.abs(self.values) < HUGE).all()) and not bool(
            np.signbit(self.values[self.values == 0]).any()
        )
        self._medians: dict[tuple[int, int], Array] = {}
        self._sums: dict[int, Array] = {}
        self._steps: FirstValues | None = None
        self._starts: Rows | None = None

    @property
    def steps(self) -> FirstValues:
        """The sizes of the differences."""
        if self._steps is None:
            self._steps = FirstValues(np.abs(np.diff(self.values)))
        return self._steps

    @property
    def starts(self) -> Rows:
        """For each value the position at which the present run of equal values began."""
        if self._starts is None:
            values = self.values
            at: Rows = np.zeros(values.shape, dtype=np.int64)
            at[:, 1:] = np.where(values[:, 1:] != values[:, :-1], np.arange(1, values.shape[1]), 0)
            self._starts = np.maximum.accumulate(at, axis=1)
        return self._starts

    def medians(self, window: int, before: int = 0, least: int = 0) -> Array:
        """As `Median(window, before, least)`."""
        least = least or window
        kept = window > MOST_SORTED or least < window
        found = self._medians.get((window, kept))
        if found is None:
            found = self._medians[window, kept] = self._kept(window) if kept else self._sorted(window)
        return later(found, before, least - 1)

    def sums(self, window: int) -> Array:
        """The exactly rounded sum of the `window` values up to each one; NaN before there are so many."""
        found = self._sums.get(window)
        if found is None:
            found = self._sums[window] = fill(self.values.shape)
            if window <= self.values.shape[1]:
                found[:, window - 1 :] = window_sums(self.values, window, self.values.shape[1]) + 0.0
        return found

    def _sorted(self, window: int) -> Array:
        found = fill(self.values.shape)
        if self.values.shape[1] >= window:
            found[:, window - 1 :] = middles(np.sort(windows(self.values, window)))
        return found

    def _kept(self, window: int) -> Array:
        return np.array([Median(window, 0, 1).run(line) for line in self.values.tolist()], dtype=np.float64)


def fill(shape: tuple[int, ...]) -> Array:
    """Missing values."""
    return np.full(shape, NAN)


def windows(values: Array, window: int) -> Array:
    """Each stretch of `window` values of a run, or of each run. The stretches share the memory of the values."""
    line = np.ascontiguousarray(values)
    *runs, rows = line.shape
    return np.ndarray((*runs, rows - window + 1, window), np.float64, line, strides=(*line.strides, 8))


def middles(ordered: Array) -> Array:
    """The median of each stretch of sorted values."""
    size = ordered.shape[-1]
    half = size >> 1
    return ordered[..., half] if size & 1 else 0.5 * (ordered[..., half - 1] + ordered[..., half])


def later(values: Array, rows: int, unknown: int = 0) -> Array:
    """The values `rows` later, without the first `unknown` of them."""
    found = fill(values.shape)
    found[:, rows + unknown :] = values[:, unknown : max(unknown, values.shape[1] - rows)]
    return found


def after_first(steps: Array) -> Array:
    """One value more: the first value of a metric has no step."""
    return np.concatenate((fill((steps.shape[0], 1)), steps), axis=1)


def noises(line: FirstValues, window: int, before: int = 0) -> Array:
    """As `Noise(window, before)`."""
    return after_first(MAD_TO_SD * line.steps.medians(window - 1, before) / math.sqrt(2.0))


def _gain(line: FirstValues, window: int) -> Array:
    quarter = max(1, window // 4)
    return line.medians(quarter) - line.medians(quarter, window - quarter)


def _extreme(line: FirstValues, sign: int, before: int) -> Array:
    best = np.maximum if sign > 0 else np.minimum
    return later(best.accumulate(line.values, axis=1), before)


def _largest_step(line: FirstValues, before: int) -> Array:
    return after_first(_extreme(line.steps, 1, before)) if line.values.shape[1] > 1 else fill(line.values.shape)


def _highest(line: FirstValues, window: int, sign: int = 1) -> Array:
    found = fill(line.values.shape)
    if line.values.shape[1] >= window:
        parts = windows(line.values, window)
        found[:, window - 1 :] = parts.max(axis=-1) if sign > 0 else parts.min(axis=-1)
    return found


def _share(line: FirstValues, window: int, above: float | None, below: float | None) -> Array:
    low, high = -math.inf if above is None else above, math.inf if below is None else below
    hits = np.cumsum((low < line.values) & (line.values < high), axis=1)
    found = fill(hits.shape)
    found[:, window - 1 :] = hits[:, window - 1 :]
    found[:, window:] -= hits[:, :-window]
    return found / window


def _wander(line: FirstValues, window: int, lag: int, before: int) -> Array | None:
    size, n = window - lag, line.values.shape[1]
    if n < window or size > MOST_SORTED:
        return None
    ordered = np.sort(windows(line.values[:, lag:] - line.values[:, :-lag], size))
    distances = np.sort(np.abs(ordered - middles(ordered)[..., None]))
    found = fill(line.values.shape)
    found[:, window - 1 :] = MAD_TO_SD * middles(distances) / math.sqrt(2.0)
    return later(found, before)


def _repeats(line: FirstValues) -> Array:
    return np.arange(1.0, line.values.shape[1] + 1.0) - line.starts


def _longest_run(line: FirstValues) -> Array:
    ended = np.zeros(line.values.shape)
    ended[:, 1:] = np.where(line.starts[:, 1:] == line.starts[:, :-1], 0.0, _repeats(line)[:, :-1])
    longest: Array = np.maximum.accumulate(ended, axis=1)
    return longest


def _departed(line: FirstValues) -> Array:
    return np.take_along_axis(line.values, np.maximum(line.starts - 1, 0), axis=1)


def _recurrence(line: FirstValues) -> Array:
    rows = np.arange(line.values.shape[1])
    equal = np.cumsum(line.starts != rows, axis=1)
    return np.take_along_axis(equal / np.maximum(rows, 1), line.starts, axis=1)


def _held(line: FirstValues) -> Array:
    ended = np.zeros(line.values.shape, dtype=bool)
    ended[:, 1:] = line.starts[:, 1:] != line.starts[:, :-1]
    long = np.zeros_like(ended)
    long[:, 1:] = ended[:, 1:] & (_repeats(line)[:, :-1] >= LONG)
    runs = np.cumsum(ended, axis=1)
    return np.where(runs >= FEWEST, np.cumsum(long, axis=1) / np.maximum(runs, 1), 0.0)


def _early(line: FirstValues, start: int, stop: int) -> Array:
    found = fill(line.values.shape)
    if stop <= found.shape[1]:
        found[:, stop - 1 :] = middles(np.sort(line.values[:, start:stop]))[:, None]
    return found


def _spread(line: FirstValues, start: int, stop: int) -> Array:
    found = fill(line.values.shape)
    if stop <= found.shape[1]:
        part = line.values[:, start:stop]
        found[:, stop - 1 :] = (part.max(axis=1) - part.min(axis=1))[:, None]
    return found


def _ewma(line: FirstValues, weight: float) -> Array:
    level = line.values[:, 0]
    found = [level]
    for column in line.values.T[1:]:
        level = level + weight * (column - level)
        found.append(level)
    return np.stack(found, axis=1)


def _peak(line: FirstValues, weight: float) -> Array | None:
    levels = _ewma(line, weight)
    if np.signbit(levels[levels == 0]).any():  # which of two zeros is the larger one?
        return None
    found = fill(levels.shape)
    found[:, 9:] = np.maximum.accumulate(levels[:, 9:], axis=1)
    return found


def _count(line: FirstValues) -> Array:
    return np.repeat(np.arange(1.0, line.values.shape[1] + 1.0)[None], len(line.values), axis=0)


def _first(line: FirstValues) -> Array:
    return np.repeat(line.values[:, :1], line.values.shape[1], axis=1)


# kind -> function of the values; it may give None, and then the feature is asked. `gains` has more of them
SIMPLE: dict[str, Callable[..., Array | None]] = {
    "count": _count,
    "previous": lambda line, lag: later(line.values, lag),
    "rise": lambda line, lag: line.values - later(line.values, lag),
    "first": _first,
    "last": lambda line: line.values,
    "repeats": _repeats,
    "departed": _departed,
    "longest_run": _longest_run,
    "recurrence": _recurrence,
    "held": _held,
    "extreme": _extreme,
    "largest_step": _largest_step,
    "wander": _wander,
    "median": FirstValues.medians,
    "max": _highest,
    "share": _share,
    "gain": _gain,
    "noise": noises,
    "early": _early,
    "spread": _spread,
    "ewma": _ewma,
    "peak": _peak,
}

# kind -> the number of plain values from which on the feature is known, and never NaN again
NEEDS: dict[str, Callable[..., int]] = {
    "previous": lambda lag: lag + 1,
    "departed": lambda: 1,
    "longest_run": lambda: 1,
    "extreme": lambda sign, before: before + 1,  # noqa: ARG005 - takes all parameters of the feature
    "largest_step": lambda before: before + 2,
    "mean": lambda window, before: window + before,
    "median": lambda window, before, least=0: (least or window) + before,
    "mad": lambda window, before: window + before,
    "max": lambda window, sign=1: window,  # noqa: ARG005
    "share": lambda window, above, below: window,  # noqa: ARG005
    "gain": lambda window: window,
    "noise": lambda window, before=0: window + before,
    "wander": lambda window, lag, before: window + before,  # noqa: ARG005
    "early": lambda start, stop: stop,  # noqa: ARG005
    "spread": lambda start, stop: stop,  # noqa: ARG005
    "ewma": lambda weight: 1,  # noqa: ARG005
    "peak": lambda weight: 10,  # noqa: ARG005
    "top": lambda rows, after: max(rows // 2 * 2, after, 1),
    "drawdown": lambda *_: 1,
    "leap": lambda *_: ARMED,
}
