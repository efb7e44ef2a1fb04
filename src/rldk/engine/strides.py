"""Features of the way from one value to the next."""

from __future__ import annotations

import math
from collections import deque

from rldk.engine.features import NAN, Median
from rldk.engine.running import Extreme


class LargestStep:
    """The largest |first difference| so far but for the newest `before` ones."""

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


class Wander:
    """1.4826 * MAD of the differences over `lag` values / sqrt 2, for a window that ends `before` values ago."""

    __slots__ = ("_past", "_steps", "value")

    def __init__(self, window: int, lag: int, before: int) -> None:
        self._past: deque[float] = deque(maxlen=lag)
        self._steps = Median(window - lag, before)
        self.value = NAN

    def update(self, x: float) -> None:
        past = self._past
        if len(past) == past.maxlen:
            self._steps.update(x - past[0])
            self.value = self._steps.spread() / math.sqrt(2.0)
        past.append(x)
