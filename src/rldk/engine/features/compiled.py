"""The costly features of long runs, compiled by numba. They do the same operations in the same order, so the bits are
the same.

Only a finished run uses them, and only a run so long that they save more time than numba takes to load."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rldk.engine.features.line_test import LATEST, RECENT, Leap
from rldk.engine.features.window import Feature, Gain, Median, Noise

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
def _quiet(line: Array, start: int) -> int:
    """How many values of `line` from `start` on leave the latest three within the recent ones, as `Leap._within`
    does."""
    for at in range(start, len(line)):
        least, most = min(line[at], line[at - 1], line[at - 2]), max(line[at], line[at - 1], line[at - 2])
        below = above = False
        for back in range(LATEST, LATEST + RECENT):
            below |= least <= line[at - back]
            above |= most >= line[at - back]
        if not (below and above):
            return at - start
    return len(line) - start


class CompiledLeap(Leap):
    __slots__ = ()

    def _quiet(self, values: list[float]) -> int:
        if len(values) < WORTH:
            return super()._quiet(values)
        count = int(_quiet(np.array([*self._values, *values]), len(self._values)))
        self._values.extend(values[:count])
        if count:
            self.value = 0.0
        return count


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


class CompiledGain(Gain):
    __slots__ = ()
    median = CompiledMedian


class CompiledNoise(Noise):
    __slots__ = ()
    median = CompiledMedian


COMPILED: dict[str, Callable[..., Feature]] = {
    "median": CompiledMedian,
    "gain": CompiledGain,
    "noise": CompiledNoise,
    "leap": CompiledLeap,
}
