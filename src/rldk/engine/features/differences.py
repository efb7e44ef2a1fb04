"""Features of the differences between values."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from operator import sub

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.whole_run import Extreme
from rldk.engine.features.window import NAN, Bounds, Median


class LargestStep:
    """The largest |first difference| so far, without the newest `before` ones."""

    __slots__ = ("_largest", "_last", "value")

    def __init__(self, before: int) -> None:
        self._last = NAN
        self._largest = Extreme(1, before)
        self.value = NAN

    def update(self, x: float) -> None:
        if self._last == self._last:
            self._largest.update(abs(x - self._last))
            self.value = self._largest.value
        self._last = x

    def run(self, values: Sequence[float]) -> list[float]:
        """The largest step after each of the values."""
        steps = list(map(abs, map(sub, values, [self._last, *values])))
        first = [self.value] if self._last != self._last else []  # a first value has no step
        self._last = values[-1]
        rest = steps[len(first) :]
        found = first + (self._largest.run(rest) if rest else [])
        self.value = found[-1]
        return found


class Wander:
    """1.4826 * MAD of the differences over `lag` values / sqrt 2, for a window that ends `before` values ago."""

    __slots__ = ("_lag", "_past", "_steps", "reach", "value")

    def __init__(self, window: int, lag: int, before: int) -> None:
        self._lag = lag
        self._past: deque[float] = deque(maxlen=lag)
        self._steps = Median(window - lag, before)
        self.reach = window + before
        self.value = NAN

    def update(self, x: float) -> None:
        past = self._past
        if len(past) == self._lag:
            self._steps.update(x - past[0])
            self.value = self._steps.spread() / math.sqrt(2.0)
        past.append(x)

    def run(self, values: Sequence[float]) -> list[float]:
        """The wander after each of the values."""
        line, steps, root = [*self._past, *values], self._steps, math.sqrt(2.0)
        found = [self.value] * min(len(values), self._lag - len(self._past))
        for step in map(sub, line[self._lag :], line):
            steps.update(step)
            found.append(steps.spread() / root)
        self._past.extend(values)
        self.value = found[-1]
        return found

    def refill(self, values: Sequence[float]) -> None:
        lag = self._lag
        self._past = deque(values[-lag:], maxlen=lag)
        self._steps.refill([now - then for then, now in zip(values, values[lag:], strict=False)])
        self.value = self._steps.spread() / math.sqrt(2.0)

    def bounds(self, low: float, high: float) -> Bounds | None:
        """Bounds the feature: no difference is further from the median than the range of the differences, which is
        twice that of the values."""
        found = self._steps.bounds(low, high)
        return found and (0.0, MAD_TO_SD * 2.0 * (high - low) / math.sqrt(2.0))
