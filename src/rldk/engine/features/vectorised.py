"""Features of long runs that numpy computes for many rows at once, with the same bits as the plain ones.

Only a finished run uses them: its blocks are long, and numpy is loaded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.engine.features.drawdown import MATERIAL, STEPS, Drawdown, Top
from rldk.engine.features.window import HUGE, Feature, total, totals

Array = NDArray[np.float64]
WORTH = 64  # sums; fewer are computed one by one in the time that numpy takes to begin
TINY = 1e-200  # below it, bounds of rounding errors lose their own precision
HALF_ULP = 2.0**-53


def window_sums(line: Array, size: int, count: int) -> Array:
    """As `totals`, exactly rounded.

    Neighbouring sums are joined like a tree. Each addition keeps its rounding error (Knuth's TwoSum), so that a sum and
    the sum of its errors are off by less than `doubt`. Where that could matter to the rounding, `total` decides."""
    count = min(count, len(line) - size + 1)
    if count <= 0:
        return np.empty(0)
    part = line[len(line) - size - count + 1 :]
    largest = float(np.abs(part).max())
    if count < WORTH or not (TINY < largest < HUGE / size or largest == 0.0) or bool(np.signbit(part[part == 0]).any()):
        return np.array(totals(part.tolist(), size, count), dtype=np.float64)
    high, low = _joined(part, size, count)
    doubt = 4.0 * size**3 * HALF_ULP**2 * largest
    least, sums = high + (low - doubt), high + (low + doubt)
    for at in np.flatnonzero(least != sums).tolist():
        sums[at] = total(part[at : at + size].tolist())
    return sums


def _joined(part: Array, size: int, count: int) -> tuple[Array, Array]:
    """The sums of each `size` values and the sums of their rounding errors."""
    high, low = part, np.zeros(len(part))  # of stretches of `length` values, by where they begin
    done, whole, errors, length = 0, np.zeros(count), np.zeros(count), 1
    while True:
        if size & length:
            whole, error = _two_sum(whole, high[done : done + count])
            errors = errors + error + low[done : done + count]
            done += length
        if done == size:
            return whole, errors
        joined, error = _two_sum(high[:-length], high[length:])
        high, low, length = joined, low[:-length] + low[length:] + error, 2 * length


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sums, and what the rounding has cut off."""
    rounded = a + b
    part = rounded - a
    return rounded, (a - (rounded - part)) + (b - part)


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
            found[early + at] = self._lost(float(tops[at]), float(bottoms[at]), float(sums[at]), newest)
        self._values = deque(line[-kept:], kept)
        self.value = found[-1]
        return found


VECTORISED: dict[str, Callable[..., Feature]] = {"top": ArrayTop, "drawdown": ArrayDrawdown}
