"""Features of a sliding window that need running sums or a queue: extremes, standard deviation, slope."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from rldk.engine.features.window import NAN, Bounds, Window, total

CANCELLED = 1e-8  # a variance so much smaller than the squares it came from is rounding: the sums are recomputed


class Highest(Window):
    """The largest value of the window. It is the front of a queue of values that no newer value has exceeded."""

    __slots__ = ("_queue", "_sign", "reach")

    def __init__(self, window: int, sign: int = 1) -> None:
        super().__init__(window, 0)
        self._sign = sign
        self._queue: deque[float] = deque()
        self.reach = window

    def refill(self, values: Sequence[float]) -> None:
        self._queue.clear()
        self._values.clear()
        for x in values:
            self.update(x)

    def run(self, values: Sequence[float]) -> list[float]:
        """The largest value after each of the values."""
        line, window, best = [*self._values, *values], self._window, max if self._sign > 0 else min
        first = len(self._values) + 1
        short = min(max(window - first, 0), len(values))  # values until the window is full
        ends = range(first + short, len(line) + 1)
        found = [NAN] * short + [best(line[end - window : end]) for end in ends]
        self.refill(line[-window:])
        return found

    def bounds(self, low: float, high: float) -> Bounds | None:
        return low, high

    def _step(self, entering: float, leaving: float | None) -> float:
        queue, signed = self._queue, self._sign * entering
        if leaving is not None and queue[0] == self._sign * leaving:
            queue.popleft()
        while queue and queue[-1] < signed:
            queue.pop()
        queue.append(signed)
        return self._sign * queue[0] if self._full() else NAN


class Deviation(Window):
    """The standard deviation of the window (of the population: divided by its size, as numpy does).

    The sums are of shifted values and are recomputed once a window, so that rounding neither accumulates nor
    cancels."""

    __slots__ = ("_age", "_shift", "_squares", "_sum")

    def __init__(self, window: int) -> None:
        super().__init__(window, 0)
        self._sum = self._squares = self._shift = 0.0
        self._age = 0

    def _step(self, entering: float, leaving: float | None) -> float:
        before = self._age, self._sum, self._squares
        x = entering - self._shift
        self._sum, self._squares = self._sum + x, self._squares + x * x
        if leaving is not None:
            y = leaving - self._shift
            self._sum, self._squares = self._sum - y, self._squares - y * y
        self._age += 1
        if not self._full():
            return NAN
        n = self._window
        variance = (self._squares - self._sum * self._sum / n) / n
        if self._age < n and variance > CANCELLED * self._squares:
            return math.sqrt(variance)
        if entering == leaving and not before[0]:  # as long as a metric does not move: the same values, summed just now
            self._age, self._sum, self._squares = before
            return self.value
        return self._afresh()

    def run(self, values: Sequence[float]) -> list[float]:
        """The standard deviation after each of the values."""
        kept, n, found, root = self._values, self._window, [], math.sqrt
        for x in values:
            kept.append(x)
            if len(kept) <= n or self._age + 1 >= n:  # the window is filling up, or the sums are due to be recomputed
                self.value = self._step(x, kept.popleft() if len(kept) > n else None)
                found.append(self.value)
                continue
            y, z = x - self._shift, kept.popleft() - self._shift
            every, squares = self._sum + y - z, self._squares + y * y - z * z
            variance = (squares - every * every / n) / n
            if not variance > CANCELLED * squares and y == z and not self._age and found:  # as in `_step`
                found.append(found[-1])
                continue
            self._age, self._sum, self._squares = self._age + 1, every, squares
            found.append(root(variance) if variance > CANCELLED * squares else self._afresh())
        self.value = found[-1]
        return found

    def _afresh(self) -> float:
        n = self._window
        self._age, self._shift = 0, total(self._values) / n
        rest = [v - self._shift for v in self._values]
        self._sum, self._squares = total(rest), total([r * r for r in rest])
        variance = (self._squares - self._sum * self._sum / n) / n
        return math.sqrt(max(variance, 0.0)) if variance == variance else NAN


class Slope(Window):
    """The slope of the least-squares line through the window, per value."""

    __slots__ = ("_age", "_moment", "_shift", "_sum")

    def __init__(self, window: int) -> None:
        super().__init__(window, 0)
        self._sum = self._moment = self._shift = 0.0  # of x - shift: the sum, and the sum of position * (x - shift)
        self._age = 0

    def _step(self, entering: float, leaving: float | None) -> float:
        if leaving is not None:
            self._sum -= leaving - self._shift
            self._moment -= self._sum  # all remaining values move one position down
        x = entering - self._shift
        self._sum += x
        self._moment += (len(self._values) - 1) * x
        self._age += 1
        n = self._window
        if self._age >= n or self._moment != self._moment:
            self._age, self._shift = 0, total(self._values) / len(self._values)
            rest = [v - self._shift for v in self._values]
            self._sum, self._moment = total(rest), total([i * r for i, r in enumerate(rest)])
        if not self._full():
            return NAN
        return (self._moment - 0.5 * (n - 1) * self._sum) * 12.0 / (n * (n * n - 1.0))
