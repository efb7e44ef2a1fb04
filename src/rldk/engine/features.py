"""All memory of the engine: one small class a feature, `update(x)` with a finite value, the result in `value`.

Every feature is causal, O(1) or O(log window) per update, and NaN until it has what it needs. Two rules that ask for
the same feature of the same metric share one instance.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from typing import Protocol

NAN = math.nan
MAD_TO_SD = 1.4826  # 1 / Phi^-1(3/4): makes the median absolute deviation estimate a normal standard deviation
PAST_WINDOW = 200  # bounded, so that memory stays flat on endless streams


class Feature(Protocol):
    value: float

    def update(self, x: float) -> None: ...


def middle(ordered: list[float]) -> float:
    n = len(ordered)
    return ordered[n // 2] if n % 2 else 0.5 * (ordered[n // 2 - 1] + ordered[n // 2])


def total(values: Iterable[float]) -> float:
    """The exactly rounded sum; infinite or NaN where that overflows (`fsum` raises there)."""
    kept = list(values)
    try:
        return math.fsum(kept)
    except (OverflowError, ValueError):
        return sum(kept)


class Count:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def update(self, x: float) -> None:  # noqa: ARG002 - counts whatever comes
        self.value += 1.0


class Previous:
    __slots__ = ("_past", "value")

    def __init__(self, lag: int) -> None:
        self._past: deque[float] = deque(maxlen=lag)
        self.value = NAN

    def update(self, x: float) -> None:
        if len(self._past) == self._past.maxlen:
            self.value = self._past[0]
        self._past.append(x)


class First:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = NAN

    def update(self, x: float) -> None:
        if self.value != self.value:
            self.value = x


class Last:
    """The newest finite value, also on rows without one."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = NAN

    def update(self, x: float) -> None:
        self.value = x


class Repeats:
    __slots__ = ("_last", "value")

    def __init__(self) -> None:
        self._last = NAN
        self.value = NAN

    def update(self, x: float) -> None:
        self.value = self.value + 1.0 if x == self._last else 1.0
        self._last = x


class Departed:
    """The value before the present run of equal values; the present one while there was no other."""

    __slots__ = ("_now", "value")

    def __init__(self) -> None:
        self._now = NAN
        self.value = NAN

    def update(self, x: float) -> None:
        if x != self._now:
            self.value, self._now = x if self._now != self._now else self._now, x


class LongestRun:
    """The length of the longest run of equal values before the present one; 0 while there was no other."""

    __slots__ = ("_repeats", "value")

    def __init__(self) -> None:
        self._repeats = Repeats()
        self.value = NAN

    def update(self, x: float) -> None:
        run = self._repeats.value
        self._repeats.update(x)
        if self._repeats.value == 1.0:
            self.value = 0.0 if run != run else max(self.value, run)


class Extreme:
    """The largest (sign 1) or smallest (sign -1) value so far but for the newest `before`."""

    __slots__ = ("_held", "_sign", "value")

    def __init__(self, sign: int, before: int) -> None:
        self._sign = sign
        self._held: deque[float] = deque(maxlen=before + 1)
        self.value = NAN

    def update(self, x: float) -> None:
        self._held.append(x)
        if len(self._held) == self._held.maxlen:
            old = self._held[0]
            if not self._sign * self.value >= self._sign * old:
                self.value = old


class Window(ABC):
    """The values of a window that ends `before` rows ago, oldest first; base of the windowed features."""

    __slots__ = ("_held", "_values", "_window", "value")

    def __init__(self, window: int, before: int) -> None:
        self._window = window
        self._values: deque[float] = deque()
        self._held: deque[float] | None = deque(maxlen=before + 1) if before else None
        self.value = NAN

    def update(self, x: float) -> None:
        held, values = self._held, self._values
        if held is not None:
            held.append(x)
            if len(held) != held.maxlen:
                return
            x = held[0]
        values.append(x)
        self.value = self._step(x, values.popleft() if len(values) > self._window else None)

    @abstractmethod
    def _step(self, entering: float, leaving: float | None) -> float:
        """The feature's value after one value has entered the window and, once it is full, one has left it."""

    def _full(self) -> bool:
        return len(self._values) == self._window


class Mean(Window):
    """A windowed mean; summed afresh once a window by `fsum`, so that rounding cannot accumulate."""

    __slots__ = ("_age", "_sum")

    def __init__(self, window: int, before: int) -> None:
        super().__init__(window, before)
        self._sum = 0.0
        self._age = 0

    def _step(self, entering: float, leaving: float | None) -> float:
        self._sum += entering - (leaving or 0.0)
        self._age += 1
        if self._age >= self._window:
            self._sum, self._age = total(self._values), 0
        return self._sum / self._window if self._full() else NAN


class Median:
    """The median of a window that ends `before` rows ago, from `least` values on. On its own rather than a `Window`:
    half of all features are medians, and this way each takes one call a row."""

    __slots__ = ("_held", "_least", "_ordered", "_values", "_window", "value")

    def __init__(self, window: int, before: int, least: int = 0) -> None:
        self._window = window
        self._least = least or window
        self._values: deque[float] = deque()
        self._ordered: list[float] = []
        self._held: deque[float] | None = deque(maxlen=before + 1) if before else None
        self.value = NAN

    def update(self, x: float) -> None:
        held, values, ordered = self._held, self._values, self._ordered
        if held is not None:
            held.append(x)
            if len(held) != held.maxlen:
                return
            x = held[0]
        values.append(x)
        insort(ordered, x)
        n = len(ordered)
        if n > self._window:
            del ordered[bisect_left(ordered, values.popleft())]
            n -= 1
        if n >= self._least:
            half = n >> 1
            self.value = ordered[half] if n & 1 else 0.5 * (ordered[half - 1] + ordered[half])

    def spread(self) -> float:
        """1.4826 * median |x - median|."""
        centre = self.value
        if centre != centre:
            return NAN
        return MAD_TO_SD * middle(sorted(abs(v - centre) for v in self._ordered))


class Mad:
    """1.4826 * median |x - median| of the window: O(window log window)."""

    __slots__ = ("_median", "value")

    def __init__(self, window: int, before: int) -> None:
        self._median = Median(window, before)
        self.value = NAN

    def update(self, x: float) -> None:
        self._median.update(x)
        self.value = self._median.spread()


class Share(Window):
    __slots__ = ("_above", "_below", "_hits")

    def __init__(self, window: int, above: float | None, below: float | None) -> None:
        super().__init__(window, 0)
        self._above = -math.inf if above is None else above
        self._below = math.inf if below is None else below
        self._hits = 0

    def _step(self, entering: float, leaving: float | None) -> float:
        self._hits += self._above < entering < self._below
        if leaving is not None:
            self._hits -= self._above < leaving < self._below
        return self._hits / self._window if self._full() else NAN


class Gain:
    """Median of the newest quarter minus median of the oldest quarter of the window."""

    __slots__ = ("_new", "_old", "value")

    def __init__(self, window: int) -> None:
        quarter = max(1, window // 4)
        self._new = Median(quarter, 0)
        self._old = Median(quarter, window - quarter)
        self.value = NAN

    def update(self, x: float) -> None:
        self._new.update(x)
        self._old.update(x)
        self.value = self._new.value - self._old.value


class Noise:
    """1.4826 * median |first difference| / sqrt 2 over the window's differences."""

    __slots__ = ("_last", "_steps", "value")

    def __init__(self, window: int, before: int = 0) -> None:
        self._last = NAN
        self._steps = Median(window - 1, before)
        self.value = NAN

    def update(self, x: float) -> None:
        if self._last == self._last:
            self._steps.update(abs(x - self._last))
        self._last = x
        self.value = MAD_TO_SD * self._steps.value / math.sqrt(2.0)


class Early:
    """The median of values number start..stop-1, fixed once complete."""

    __slots__ = ("_n", "_start", "_stop", "_values", "value")

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._stop, self._n = start, stop, 0
        self._values: list[float] = []
        self.value = NAN

    def update(self, x: float) -> None:
        self._n += 1
        if self._n > self._stop or self._n <= self._start:
            return
        insort(self._values, x)
        if self._n == self._stop:
            self.value = middle(self._values)


class Spread:
    """Largest minus smallest of values number start..stop-1, fixed once complete."""

    __slots__ = ("_high", "_low", "_n", "_start", "_stop", "value")

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._stop, self._n = start, stop, 0
        self._low, self._high = math.inf, -math.inf
        self.value = NAN

    def update(self, x: float) -> None:
        self._n += 1
        if self._n > self._stop or self._n <= self._start:
            return
        self._low, self._high = min(self._low, x), max(self._high, x)
        if self._n == self._stop:
            self.value = self._high - self._low


class Ewma:
    __slots__ = ("_weight", "value")

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self.value = NAN

    def update(self, x: float) -> None:
        self.value = x if self.value != self.value else self.value + self._weight * (x - self.value)


class Peak:
    """The largest EWMA from the tenth value on: before that it is still the first values."""

    __slots__ = ("_ewma", "_n", "value")

    def __init__(self, weight: float) -> None:
        self._ewma = Ewma(weight)
        self._n = 0
        self.value = NAN

    def update(self, x: float) -> None:
        self._ewma.update(x)
        self._n += 1
        if self._n >= 10 and not self.value >= self._ewma.value:
            self.value = self._ewma.value
