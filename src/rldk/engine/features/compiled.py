"""The costly features of long runs, compiled by numba. They do the same operations in the same order, so the bits are
the same.

Only a finished run uses them, and only a run so long that they save more time than numba takes to load."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.line_test import ARMED, HOLD, LATEST, PAST, RECENT, K, Leap
from rldk.engine.features.noise_ratio import Unrest
from rldk.engine.features.whole_run import Ewma, Peak
from rldk.engine.features.window import HUGE, Feature, Gain, Mean, Median, Noise, total

Array = NDArray[np.float64]
WORTH = 32  # values; for fewer, handing them over costs more than the computation


@njit(cache=True)  # type: ignore[untyped-decorator]
def _medians(line: Array, known: int, ordered: Array, least: int, found: Array) -> float:
    """Computes the medians as the values of `line` from number `known` on enter the window, one after the other.

    `ordered` holds the sorted values of the window before them. It is an array of the window's size, filled up with
    infinity."""
    window, value = len(ordered), np.nan
    n = min(known, window)
    for at in range(known, len(line)):
        x = line[at]
        if n == window:
            old = line[at - window]
            low, high = 0, n  # a bisect_left
            while low < high:
                middle = (low + high) >> 1
                if ordered[middle] < old:
                    low = middle + 1
                else:
                    high = middle
            hole = low
        else:
            hole = n
            n += 1
        while hole > 0 and ordered[hole - 1] > x:
            ordered[hole] = ordered[hole - 1]
            hole -= 1
        while hole < n - 1 and ordered[hole + 1] < x:
            ordered[hole] = ordered[hole + 1]
            hole += 1
        ordered[hole] = x
        if n >= least:
            half = n >> 1
            value = ordered[half] if n & 1 else 0.5 * (ordered[half - 1] + ordered[half])
        found[at - known] = value
    return value


@njit(cache=True)  # type: ignore[untyped-decorator]
def _within(line: Array, at: int) -> bool:
    """As `Leap._within`, for the value number `at`."""
    least, most = min(line[at], line[at - 1], line[at - 2]), max(line[at], line[at - 1], line[at - 2])
    below = above = False
    for back in range(LATEST, LATEST + RECENT):
        below |= least <= line[at - back]
        above |= most >= line[at - back]
    return below and above


@njit(cache=True)  # type: ignore[untyped-decorator]
def _median(values: Array) -> float:
    ordered, half = np.sort(values), len(values) >> 1
    middle: float = ordered[half] if len(values) & 1 else 0.5 * (ordered[half - 1] + ordered[half])
    return middle


@njit(cache=True)  # type: ignore[untyped-decorator]
def _mad(values: Array) -> float:
    scale: float = MAD_TO_SD * _median(np.abs(values - _median(values)))
    return scale


@njit(cache=True)  # type: ignore[untyped-decorator]
def _course(past: Array, floor: float) -> tuple[float, float, float, float]:
    """The slope and the start of the line through the past, the level, and the scale, as `Leap._distance` has them."""
    n, pair = len(past), 0
    slopes = np.empty(n * (n - 1) // 2)
    for i in range(n):
        for j in range(i + 1, n):
            slopes[pair] = (past[j] - past[i]) / (j - i)
            pair += 1
    slope = _median(slopes)
    rest, residuals, steps = np.empty(n), np.empty(n), np.empty(n - 1)
    for i in range(n):
        rest[i] = past[i] - slope * i
    start = _median(rest)
    for i in range(n):
        residuals[i] = past[i] - (start + slope * i)
    for i in range(1, n):
        steps[i - 1] = past[i] - past[i - 1]
    recent = past[n - RECENT :]
    relative = 1e-9 * max(abs(recent.min()), abs(recent.max()), 1e-3)
    off, jitter = _mad(residuals), _mad(steps) / math.sqrt(2.0)
    return slope, start, _median(recent), max(off, jitter, floor, relative)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _leaps(line: Array, known: int, floor: float, state: Array, found: Array) -> int:
    """Computes the distances as the values of `line` from number `known` on are taken, one after the other.

    `state` has the present distance, the largest one, the level, the scale, and the rows for which both are kept.
    Returns the number of the first value that is remembered."""
    begin, off = 0, np.empty(2 * LATEST)
    value, peak, level, scale, held = state
    for at in range(known, len(line)):
        n = min(at + 1 - begin, PAST + LATEST)
        if n >= ARMED:
            if held == 0.0 and _within(line, at):
                found[at - known] = value = 0.0
                continue
            keeps = held > 0.0
            if keeps:
                held -= 1.0
                for j in range(LATEST):
                    off[j] = off[LATEST + j] = (line[at - LATEST + 1 + j] - level) / scale
            else:
                past = line[at + 1 - n : at + 1 - LATEST]
                slope, start, level, scale = _course(past, floor)
                for j in range(LATEST):
                    y = line[at - LATEST + 1 + j]
                    off[j] = (y - (start + slope * (n - LATEST + j))) / scale
                    off[LATEST + j] = (y - level) / scale
            low, high = off.min(), off.max()
            value = low if low > 0.0 else high if high < 0.0 else 0.0
            if keeps and (abs(value) < K / 2 or held == 0.0):
                held, begin = 0.0, at - LATEST + 1
            elif not keeps and abs(value) >= K:
                held = float(HOLD)
            peak = max(peak, abs(value))
        found[at - known] = value
    state[:] = value, peak, level, scale, held
    return begin


@njit(cache=True)  # type: ignore[untyped-decorator]
def _means(line: Array, known: int, window: int, exact: Array, state: Array) -> Array:
    """Computes the means as the values of `line` from number `known` on enter, as `Mean.run` does. `exact`: the sums to
    go on with, each time they are due. `state` has the sum, and the number of values since it was exact."""
    every, age = state
    taken, found = 0, np.empty(len(line) - known)
    for at in range(known, len(line)):
        every += line[at] - (line[at - window] if at >= window else 0.0)
        age += 1.0
        if age >= window:
            every, age = exact[taken], 0.0
            taken += 1
        found[at - known] = every / window if at + 1 >= window else np.nan
    state[:] = every, age
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def _ewmas(values: Array, level: float, weight: float) -> Array:
    found = np.empty(len(values))
    for at, x in enumerate(values):
        level = x if level != level else level + weight * (x - level)
        found[at] = level
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def _peaks(levels: Array, n: int, best: float) -> Array:
    found = np.empty(len(levels))
    for at, level in enumerate(levels):
        if n + at + 1 >= 10 and not best >= level:
            best = level
        found[at] = best
    return found


class CompiledLeap(Leap):
    __slots__ = ()

    def run(self, values: Sequence[float], beyond: Sequence[int] | None = None) -> list[float]:
        if beyond is not None:
            return super().run(values, beyond)
        ys = [math.log(max(x, 1e-12)) for x in values] if self._log else values
        known = len(self._values)
        line = np.array([*self._values, *ys])
        if len(values) < WORTH or not bool((np.abs(line) < HUGE).all()):
            return super().run(values)
        state, found = np.array((self.value, self.peak, self._level, self._scale, self._held)), np.empty(len(ys))
        begin = int(_leaps(line, known, self._floor, state, found))
        self._values = deque(line[max(begin, len(line) - PAST - LATEST) :].tolist(), PAST + LATEST)
        self.value, self.peak, self._level, self._scale, held = state.tolist()
        self._held = int(held)
        distances: list[float] = found.tolist()
        return distances


class CompiledMedian(Median):
    __slots__ = ()

    def _pass(self, values: Sequence[float]) -> list[float]:
        if len(values) < WORTH:
            return super()._pass(values)
        known = len(self._ordered)
        line = np.array([*self._values, *values]) + 0.0
        ordered = np.full(self._window, np.inf)
        ordered[:known] = self._ordered
        found = np.empty(len(values))
        self.value = float(_medians(line, known, ordered, self._least, found))
        size = min(len(line), self._window)
        self._values = deque(line[-size:].tolist())
        self._ordered = ordered[:size].tolist()
        medians: list[float] = found.tolist()
        return medians


class CompiledMean(Mean):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        known, window = len(self._values), self._window
        if self._held is not None or len(values) < WORTH:
            return super().run(values)
        line = [*self._values, *values]
        due = known + max(window - self._age, 1)  # the end of the window at which the sum is recomputed
        exact = np.array([total(line[max(0, end - window) : end]) for end in range(due, len(line) + 1, window)])
        state = np.array((self._sum, float(self._age)))
        means: list[float] = _means(np.array(line), known, window, exact, state).tolist()
        self._values = deque(line[-window:])
        self._sum, age = state.tolist()
        self._age, self.value = int(age), means[-1]
        return means


class CompiledEwma(Ewma):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        if len(values) < WORTH:
            return super().run(values)
        levels: list[float] = _ewmas(np.array(values), self.value, self._weight).tolist()
        self.value = levels[-1]
        return levels


class CompiledPeak(Peak):
    __slots__ = ()

    def run(self, values: Sequence[float]) -> list[float]:
        if len(values) < WORTH:
            return super().run(values)
        ewma = self._ewma
        levels = _ewmas(np.array(values), ewma.value, ewma.weight)
        ewma.value = float(levels[-1])
        found: list[float] = _peaks(levels, self._n, self.value).tolist()
        self._n, self.value = self._n + len(values), found[-1]
        return found


class CompiledGain(Gain):
    __slots__ = ()
    median = CompiledMedian


class CompiledNoise(Noise):
    __slots__ = ()
    median = CompiledMedian


class CompiledUnrest(Unrest):
    __slots__ = ()
    median = CompiledMedian


COMPILED: dict[str, Callable[..., Feature]] = {
    "median": CompiledMedian,
    "gain": CompiledGain,
    "noise": CompiledNoise,
    "leap": CompiledLeap,
    "unrest": CompiledUnrest,
    "mean": CompiledMean,
    "ewma": CompiledEwma,
    "peak": CompiledPeak,
}
