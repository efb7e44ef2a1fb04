"""The features of a whole run's first block, computed with numpy from all of its values at once.

Each function gives the values that the feature of its kind would give after each value, with the same bits. A short run
is one block, and there these functions save most of the time that its features take. The features themselves know
nothing of it: they take the values later, if a row after the block asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.line_test import ARMED
from rldk.engine.features.window import HUGE, NAN, Median

Array = NDArray[np.float64]
MOST_SORTED = 64  # values of a window; sorting longer ones again for each row costs more than keeping them sorted


class FirstValues:
    """The values of one metric, and what several features are made from.

    `is_plain`: no value is -0.0 or so large that differences overflow. Only then are the bits surely the same."""

    __slots__ = ("_medians", "_never_equal", "_steps", "is_plain", "values")

    def __init__(self, values: Sequence[float] | Array) -> None:
        self.values: Array = np.array(values, dtype=np.float64)
        self.is_plain = bool((np.abs(self.values) < HUGE).all()) and not bool(
            np.signbit(self.values[self.values == 0]).any()
        )
        self._medians: dict[int, Array] = {}
        self._steps: FirstValues | None = None
        self._never_equal: bool | None = None

    @property
    def steps(self) -> FirstValues:
        """The sizes of the differences."""
        if self._steps is None:
            self._steps = FirstValues(np.abs(np.diff(self.values)))
        return self._steps

    @property
    def never_equal(self) -> bool:
        """Whether no value equals the one before it."""
        if self._never_equal is None:
            self._never_equal = not bool((self.values[1:] == self.values[:-1]).any())
        return self._never_equal

    def medians(self, window: int, before: int = 0, least: int = 0) -> Array:
        """As `Median(window, before, least)`."""
        found = self._medians.get(window)
        if found is None:
            found = self._medians[window] = self._sorted(window) if window <= MOST_SORTED else self._kept(window)
        least = least or window
        if least < window <= MOST_SORTED:
            found = self._kept(window)
        return _later(found, before, least - 1)

    def _sorted(self, window: int) -> Array:
        if len(self.values) < window:
            return np.full(len(self.values), NAN)
        return np.concatenate((np.full(window - 1, NAN), middles(np.sort(stretches(self.values, window)))))

    def _kept(self, window: int) -> Array:
        return np.array(Median(window, 0, 1).run(self.values.tolist()), dtype=np.float64)


def stretches(values: Array, window: int) -> Array:
    """Each stretch of `window` values as a row. The rows share the memory of the values."""
    line = np.ascontiguousarray(values)
    return np.ndarray((len(line) - window + 1, window), np.float64, line, strides=(8, 8))


def middles(rows: Array) -> Array:
    """The median of each row of sorted values."""
    half = rows.shape[1] >> 1
    return rows[:, half] if rows.shape[1] & 1 else 0.5 * (rows[:, half - 1] + rows[:, half])


def _later(values: Array, rows: int, unknown: int = 0) -> Array:
    """The values `rows` later, without the first `unknown` of them."""
    found = np.full(len(values), NAN)
    found[rows + unknown :] = values[unknown : max(unknown, len(values) - rows)]
    return found


def _after_first(steps: Array) -> Array:
    """One value more: the first value of a metric has no step."""
    return np.concatenate(((NAN,), steps))


def _noise(line: FirstValues, window: int, before: int = 0) -> Array:
    return _after_first(MAD_TO_SD * line.steps.medians(window - 1, before) / math.sqrt(2.0))


def _gain(line: FirstValues, window: int) -> Array:
    quarter = max(1, window // 4)
    return line.medians(quarter) - line.medians(quarter, window - quarter)


def _extreme(line: FirstValues, sign: int, before: int) -> Array:
    best = np.maximum if sign > 0 else np.minimum
    return _later(best.accumulate(line.values), before)


def _largest_step(line: FirstValues, before: int) -> Array:
    return _after_first(_extreme(line.steps, 1, before)) if len(line.values) > 1 else np.array((NAN,))


def _highest(line: FirstValues, window: int, sign: int = 1) -> Array:
    if len(line.values) < window:
        return np.full(len(line.values), NAN)
    windows = stretches(line.values, window)
    return np.concatenate((np.full(window - 1, NAN), windows.max(axis=1) if sign > 0 else windows.min(axis=1)))


def _share(line: FirstValues, window: int, above: float | None, below: float | None) -> Array:
    low, high = -math.inf if above is None else above, math.inf if below is None else below
    hits = np.cumsum((low < line.values) & (line.values < high))
    found = np.full(len(hits), NAN)
    found[window - 1 :] = hits[window - 1 :]
    found[window:] -= hits[:-window]
    return found / window


def _wander(line: FirstValues, window: int, lag: int, before: int) -> Array | None:
    size, n = window - lag, len(line.values)
    if n < window or size > MOST_SORTED:
        return None
    windows = np.sort(stretches(line.values[lag:] - line.values[:-lag], size))
    distances = np.sort(np.abs(windows - middles(windows)[:, None]))
    known = MAD_TO_SD * middles(distances) / math.sqrt(2.0)
    return _later(np.concatenate((np.full(n - len(known), NAN), known)), before)


def _repeats(line: FirstValues) -> Array | None:
    return np.ones(len(line.values)) if line.never_equal else None


def _longest_run(line: FirstValues) -> Array | None:
    return np.array((0.0, *(1.0,) * (len(line.values) - 1))) if line.never_equal else None


def _departed(line: FirstValues) -> Array | None:
    return np.concatenate((line.values[:1], line.values[:-1])) if line.never_equal else None


def _recurrence(line: FirstValues) -> Array | None:
    return np.zeros(len(line.values)) if line.never_equal else None


def _early(line: FirstValues, start: int, stop: int) -> Array:
    found = np.full(len(line.values), NAN)
    if stop <= len(found):
        found[stop - 1 :] = middles(np.sort(line.values[None, start:stop]))[0]
    return found


def _spread(line: FirstValues, start: int, stop: int) -> Array:
    found = np.full(len(line.values), NAN)
    if stop <= len(found):
        part = line.values[start:stop]
        found[stop - 1 :] = part.max() - part.min()
    return found


# kind -> function of the values; it may give None, and then the feature is asked
ARRAYS: dict[str, Callable[..., Array | None]] = {
    "count": lambda line: np.arange(1.0, len(line.values) + 1.0),
    "previous": lambda line, lag: _later(line.values, lag),
    "rise": lambda line, lag: line.values - _later(line.values, lag),
    "first": lambda line: np.full(len(line.values), line.values[0]),
    "last": lambda line: line.values,
    "repeats": _repeats,
    "departed": _departed,
    "longest_run": _longest_run,
    "recurrence": _recurrence,
    "extreme": _extreme,
    "largest_step": _largest_step,
    "wander": _wander,
    "median": FirstValues.medians,
    "max": _highest,
    "share": _share,
    "gain": _gain,
    "noise": _noise,
    "early": _early,
    "spread": _spread,
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
