"""Features of long runs that numpy computes for many rows at once, with the same bits as the plain ones.

Only a finished run uses them: its blocks are long, and numpy is loaded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.arrays import MOST_SORTED, middles, windows
from rldk.engine.features.differences import Wander
from rldk.engine.features.drawdown import MATERIAL, STEPS, Drawdown, Top
from rldk.engine.features.exact import window_sums
from rldk.engine.features.extremes import Highest
from rldk.engine.features.line_test import HOLD, LATEST, PAST, RECENT, K, Leap
from rldk.engine.features.noise_ratio import Unrest
from rldk.engine.features.whole_run import Count
from rldk.engine.features.window import HUGE, NAN, Feature, Gain, Mean, Median, Noise, total

Array = NDArray[np.float64]
WORTH = 64  # values; fewer are taken one by one in the time that numpy takes to begin


class ArrayTop(Top):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        tops: list[float] = self.level_arrays(values)[0].tolist()
        return tops

    def level_arrays(self, values: Sequence[float]) -> tuple[Array, Array]:
        """The top and the bottom after each of the values."""
        half, n = self._half, len(values)
        line = np.array([*self._newest, *values])
        means = np.concatenate((np.array(self._means), window_sums(line, half, n) / half))
        if not bool(np.isfinite(means).all()):
            return self._plain(values)
        newer, older = means[half:], means[:-half]
        silent = n - len(newer)
        tops, bottoms = np.full(n, self.value), np.full(n, self.bottom)
        first = self._left - silent - 1  # what is left to wait for at the first pair
        for at in np.flatnonzero(self._may_change(newer, older)).tolist():
            self._left = first - at
            self._compare(float(newer[at]), float(older[at]))
            tops[silent + at :], bottoms[silent + at :] = self.value, self.bottom
        self._left = first + 1 - len(newer)
        self._newest, self._means = deque(line[-half:].tolist(), half), deque(means[-half:].tolist(), half)
        return tops, bottoms

    def _may_change(self, newer: Array, older: Array) -> NDArray[np.bool_]:
        """The pairs that may raise the top or lower the lowest level: they do both only with the levels before."""
        rises = ~((newer <= self.value) | (older <= self.value))
        falls = ~((self._low <= newer) | (self._low <= older))
        if self._low == math.inf and len(newer):
            falls[0] = True
            low = float(older[0])
            falls[1:] = ~((low <= newer[1:]) | (low <= older[1:]))
        return rises | falls

    def _plain(self, values: Sequence[float]) -> tuple[Array, Array]:
        tops, bottoms = self.levels(values)
        return np.array(tops), np.array(bottoms)


class ArrayDrawdown(Drawdown):
    __slots__ = ()
    _top: ArrayTop

    def __init__(self, rows: int, top: int, clear: float, after: int) -> None:
        super().__init__(rows, top, clear, after)
        self._top = ArrayTop(top, after)

    def run(self, values: Sequence[float]) -> list[float]:
        rows, n, kept = self._rows, len(values), STEPS + self._rows + 1
        line = [*self._values, *values]
        tops, bottoms = self._top.level_arrays(values)
        sums = window_sums(np.array(line), rows, n)
        found, early = [0.0] * n, n - len(sums)
        tops, bottoms = tops[early:], bottoms[early:]
        with np.errstate(all="ignore"):
            material = tops - sums / rows > MATERIAL * tops
        for at in np.flatnonzero(material).tolist():
            end = len(line) - len(sums) + at + 1
            newest = line[max(0, end - kept) : end]
            found[early + at] = self.lost(float(tops[at]), float(bottoms[at]), float(sums[at]), newest)
        self._values = deque(line[-kept:], kept)
        self.value = found[-1]
        return found


class ArrayMedian(Median):
    __slots__ = ()

    def _pass(self, values: Sequence[float]) -> list[float]:
        if self._window > MOST_SORTED or len(self._ordered) < self._window or len(values) < WORTH:
            return super()._pass(values)
        line = np.array([*self._values, *values]) + 0.0
        ordered = np.sort(windows(line[1:], self._window))
        self._values, self._ordered = deque(line[-self._window :].tolist()), ordered[-1].tolist()
        found: list[float] = middles(ordered).tolist()
        self.value = found[-1]
        return found


class ArrayGain(Gain):
    __slots__ = ()
    median = ArrayMedian


class ArrayNoise(Noise):
    __slots__ = ()
    median = ArrayMedian


class ArrayUnrest(Unrest):
    __slots__ = ()
    median = ArrayMedian


class ArrayWander(Wander):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        steps, lag = self._steps, self._lag
        line = np.array([*self._past, *values])
        size, before = steps.window, self.reach - steps.window - lag
        known = steps.kept
        if len(values) < WORTH or size > MOST_SORTED or len(known) < size + before or not _is_moderate(line):
            return super().run(values)
        every = np.concatenate((known[1:], line[lag:] - line[:-lag])) + 0.0
        ordered = np.sort(windows(every[: len(every) - before], size))
        distances = np.sort(np.abs(ordered - middles(ordered)[:, None]))
        found: list[float] = (MAD_TO_SD * middles(distances) / math.sqrt(2.0)).tolist()
        self._past.extend(values)
        steps.refill(every[-size - before :].tolist())
        self.value = found[-1]
        return found


class ArrayHighest(Highest):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        line, window, best = np.array([*self._values, *values]), self._window, _BEST[self._sign]
        short = max(window - len(self._values) - 1, 0)  # values until the window is full
        if len(values) < short + WORTH or bool(np.signbit(line[line == 0]).any()):
            return super().run(values)
        top = _extremes(line, window, best)
        found: list[float] = [NAN] * short + top[len(top) - len(values) + short :].tolist()
        self.refill(line[-window:].tolist())
        return found


class ArrayMean(Mean):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        known, n, window = len(self._values), len(values), self._window
        if self._held is not None or n < WORTH:
            return super().run(values)
        line = [*self._values, *values]
        numbers, leaving = np.array(line), np.zeros(n)
        full = max(0, window - known)  # from this value on, each that enters makes another one leave
        leaving[full:] = numbers[max(0, known - window) : len(line) - window] if full < n else ()
        wait = max(window - self._age - 1, 0)  # values before the one at which the sum is recomputed
        ends = range(known + wait + 1, len(line) + 1, window)
        exact = [total(line[max(0, end - window) : end]) for end in ends]
        sums = np.zeros(wait + len(exact) * window) if exact else np.zeros(n)
        with np.errstate(all="ignore"):
            sums[:n] = numbers[known:] - leaving
            if n:
                sums[:wait] = np.cumsum(np.concatenate(((self._sum,), sums[:wait])))[1:]
            rest = sums[wait:].reshape(len(exact), window)
            rest[:, 0] = exact
            rest[:] = np.cumsum(rest, axis=1)  # adds one after the other, as the plain feature does
            found: list[float] = (sums[:n] / window).tolist()
        short = min(n, max(0, window - known - 1))
        found[:short] = [NAN] * short
        self._values = deque(line[-window:])
        self._sum, self.value = float(sums[n - 1]), found[-1]
        self._age = (n - wait - 1) % window if exact else self._age + n
        return found


class ArrayLeap(Leap):
    __slots__ = ()

    def run(self, values: Sequence[float], beyond: Sequence[int] | None = None) -> list[float]:
        if beyond is not None:
            return super().run(values, beyond)
        left, found = [math.log(max(x, 1e-12)) for x in values] if self._log else list(values), []
        if not _is_moderate(np.array([*self._values, *left])):
            return super().run(values)
        while left:
            if self._held or len(self._values) < PAST + LATEST or len(left) < WORTH:
                self._take(left[0])
                found.append(self.value)
                left = left[1:]
                continue
            distances = self._many(np.array([*self._values, *left]), len(left))
            self._values.extend(left[: len(distances)])
            found += distances
            left = left[len(distances) :]
            self.value = found[-1]
        return found

    def _many(self, line: Array, count: int) -> list[float]:
        """The distances of the last `count` values, up to the first one from which on a reference is kept."""
        rows = np.flatnonzero(~_within(line)[-count:])
        distances = np.zeros(count)
        if len(rows):
            stretch = windows(line, PAST + LATEST)[rows + len(line) - count - PAST - LATEST + 1]
            off, levels, scales = _distances(stretch, self._floor)
            far = np.flatnonzero(np.abs(off) >= K).tolist()
            if far:
                first = far[0]
                off, rows, distances = off[: first + 1], rows[: first + 1], distances[: int(rows[first]) + 1]
                self._held, self._level, self._scale = HOLD, float(levels[first]), float(scales[first])
            distances[rows] = off
            self.peak = max(self.peak, float(np.abs(off).max()))
        found: list[float] = distances.tolist()
        return found


def _within(line: Array) -> NDArray[np.bool_]:
    """As `Leap._within`, for each value that has all the values before it."""
    least, most = _extremes(line, LATEST, np.minimum), _extremes(line, LATEST, np.maximum)
    low, high = _extremes(line, RECENT, np.minimum), _extremes(line, RECENT, np.maximum)
    within: NDArray[np.bool_] = (least[RECENT:] <= high[:-LATEST]) & (most[RECENT:] >= low[:-LATEST])
    return within


def _extremes(line: Array, window: int, best: np.ufunc) -> Array:
    """The smallest or largest values of the windows, oldest first."""
    length, found = 1, line  # of stretches of `length` values, by where they begin
    while 2 * length <= window:
        length, found = 2 * length, best(found[:-length], found[length:])
    joined: Array = best(found[: len(line) - window + 1], found[window - length :])
    return joined


_OLDER, _NEWER = (rows.copy() for rows in np.triu_indices(PAST, 1))
_PLACES = np.arange(PAST + LATEST)


def _distances(stretch: Array, floor: float) -> tuple[Array, Array, Array]:
    """As `Leap._distance`, for many stretches at once: the distances, the levels, the scales."""
    past = stretch[:, :PAST]
    slope = middles(np.sort((past[:, _NEWER] - past[:, _OLDER]) / (_NEWER - _OLDER)))[:, None]
    start = middles(np.sort(past - slope * _PLACES[:PAST]))[:, None]
    line = start + slope * _PLACES
    recent = np.sort(past[:, -RECENT:])
    relative = 1e-9 * np.maximum(np.maximum(np.abs(recent[:, 0]), np.abs(recent[:, -1])), 1e-3)
    scale = np.maximum(_mads(past - line[:, :PAST]), _mads(np.diff(past)) / math.sqrt(2.0))
    scale = np.maximum(np.maximum(scale, floor), relative)
    level = middles(recent)
    latest = stretch[:, PAST:]
    off = np.concatenate((latest - line[:, PAST:], latest - level[:, None]), axis=1) / scale[:, None]
    low, high = off.min(axis=1), off.max(axis=1)
    return np.where(low > 0.0, low, np.where(high < 0.0, high, 0.0)), level, scale


def _mads(rows: Array) -> Array:
    """As `mad` of each row."""
    return MAD_TO_SD * middles(np.sort(np.abs(rows - middles(np.sort(rows))[:, None])))


class ArrayCount(Count):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        first, self.value = self.value + 1.0, self.value + len(values)
        counts: list[float] = np.arange(first, first + len(values)).tolist()
        return counts


def _is_moderate(line: Array) -> bool:
    """Whether no difference between values overflows."""
    return bool((np.abs(line) < HUGE).all())


_BEST = {1: np.maximum, -1: np.minimum}
VECTORISED: dict[str, Callable[..., Feature]] = {
    "top": ArrayTop,
    "drawdown": ArrayDrawdown,
    "wander": ArrayWander,
    "max": ArrayHighest,
    "count": ArrayCount,
    "mean": ArrayMean,
    "leap": ArrayLeap,
    "median": ArrayMedian,
    "gain": ArrayGain,
    "noise": ArrayNoise,
    "unrest": ArrayUnrest,
}
