"""All memory of the engine. Each feature is one small class: `update(x)` takes a finite value, `value` is the result.

Every feature is causal, costs O(1) or O(log window) per update, and is NaN until it has enough values. Two rules that
ask for the same feature of the same metric share one instance. That is all a feature must have. A feature that is asked
often also has `run`, which takes many values at once. A feature that depends only on its last `reach` values also has
`refill`, which rebuilds it from them, and `bounds`, which says where its value lies if all of them lie between `low`
and `high`.

This file holds the windows. Features of the whole run are in `whole_run`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from operator import sub
from typing import Any, ClassVar, Protocol

from rldk.core.stats.robust import MAD_TO_SD, middle

NAN = math.nan
PAST_WINDOW = 200  # bounded, so that memory stays flat on endless streams


class Feature(Protocol):
    value: float

    def update(self, x: float) -> None: ...


Bounds = tuple[float, float]
HUGE = 1e300  # beyond it, sums and differences of values may overflow, and bounds computed from them mean nothing


def run(feature: Feature, values: Sequence[float]) -> list[float]:
    """The feature's value after each of the values."""
    many: Any = getattr(feature, "run", None)
    if many is not None:
        found: list[float] = many(values)
        return found
    return each(feature, values)


def each(feature: Feature, values: Sequence[float]) -> list[float]:
    """The feature's value after each of the values, which it takes one by one."""
    update, found = feature.update, []
    for x in values:
        update(x)
        found.append(feature.value)
    return found


def _safe(low: float, high: float) -> bool:
    return low > -HUGE and high < HUGE


def total(values: Iterable[float]) -> float:
    """The exactly rounded sum; infinite or NaN where that overflows (`fsum` raises there)."""
    kept = list(values)
    try:
        return math.fsum(kept)
    except (OverflowError, ValueError):
        return sum(kept)


def totals(line: Sequence[float], size: int, count: int) -> list[float]:
    """The sums, as of `total`, of the `size` values that end at each of the last `count` ones. Where fewer than `size`
    values are known there is none."""
    ends = range(max(size, len(line) - count + 1), len(line) + 1)
    try:
        return [math.fsum(line[end - size : end]) for end in ends]
    except (OverflowError, ValueError):
        return [total(line[end - size : end]) for end in ends]


class Window(ABC):
    """The values of a window that ends `before` rows ago, oldest first. It is the base of the windowed features."""

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
    """The mean of a window. `fsum` recomputes it once a window, so that rounding cannot accumulate."""

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

    def run(self, values: Sequence[float]) -> list[float]:
        """The mean after each of the values."""
        if self._held is not None:
            return [self._after(x) for x in values]
        line, window, age, every, found = [*self._values, *values], self._window, self._age, self._sum, []
        # the leaving values, at the positions of those that enter
        leaving = [0.0] * (window - len(self._values)) + line
        for end, (x, old) in enumerate(zip(values, leaving, strict=False), len(self._values) + 1):
            every += x - old
            age += 1
            if age >= window:
                every, age = total(line[max(0, end - window) : end]), 0
            found.append(every / window if end >= window else NAN)
        self._values = deque(line[-window:])
        self._sum, self._age, self.value = every, age, found[-1]
        return found

    def _after(self, x: float) -> float:
        self.update(x)
        return self.value


class Median:
    """The median of a window that ends `before` rows ago. It needs `least` values.

    It is no subclass of `Window`: half of all features are medians, and this way each takes one call a row. A zero has
    no sign here, so that it does not matter which of several equal values leaves."""

    __slots__ = ("_before", "_held", "_least", "_ordered", "_values", "_window", "reach", "value")

    def __init__(self, window: int, before: int, least: int = 0) -> None:
        self._window = window
        self._before = before
        self._least = least or window
        self._values: deque[float] = deque()
        self._ordered: list[float] = []
        self._held: deque[float] = deque()
        self.reach = window + before
        self.value = NAN

    def update(self, x: float) -> None:
        held, values, ordered = self._held, self._values, self._ordered
        if self._before:
            held.append(x)
            if len(held) <= self._before:
                return
            x = held.popleft()
        x += 0.0
        values.append(x)
        insort(ordered, x)
        n = len(ordered)
        if n > self._window:
            del ordered[bisect_left(ordered, values.popleft())]
            n -= 1
        if n >= self._least:
            half = n >> 1
            self.value = ordered[half] if n & 1 else 0.5 * (ordered[half - 1] + ordered[half])

    def run(self, values: Sequence[float]) -> list[float]:
        """The median after each of the values."""
        if not self._before:
            return self._pass(values)
        held = [*self._held, *values]
        entering = max(0, len(held) - self._before)
        self._held = deque(held[entering:])
        return [self.value] * (len(values) - entering) + self._pass(held[:entering])

    def _pass(self, values: Sequence[float]) -> list[float]:
        """The median after each of the values has entered."""
        found = []
        queue, ordered, window, least = self._values, self._ordered, self._window, self._least
        n, centre = len(ordered), self.value
        for x in values:
            x += 0.0  # noqa: PLW2901 - makes -0.0 a 0.0
            queue.append(x)
            insort(ordered, x)
            if n == window:
                del ordered[bisect_left(ordered, queue.popleft())]
            else:
                n += 1
            if n >= least:
                half = n >> 1
                centre = ordered[half] if n & 1 else 0.5 * (ordered[half - 1] + ordered[half])
            found.append(centre)
        self.value = centre
        return found

    @property
    def window(self) -> int:
        return self._window

    @property
    def kept(self) -> list[float]:
        """The values of the window, and those that have not entered it."""
        return [*self._values, *self._held]

    def refill(self, values: Sequence[float]) -> None:
        self._held = deque(values[self._window :])
        self._values = deque([x + 0.0 for x in values[: self._window]])
        self._ordered = sorted(self._values)
        self.value = middle(self._ordered)

    def bounds(self, low: float, high: float) -> Bounds | None:
        return (low, high) if _safe(low, high) else None

    def spread(self) -> float:
        """1.4826 * median |x - median|."""
        centre = self.value
        if centre != centre:
            return NAN
        return MAD_TO_SD * middle(sorted([abs(v - centre) for v in self._ordered]))


class Mad:
    """1.4826 * median |x - median| of the window. It costs O(window log window)."""

    __slots__ = ("_median", "reach", "value")

    def __init__(self, window: int, before: int) -> None:
        self._median = Median(window, before)
        self.reach = self._median.reach
        self.value = NAN

    def update(self, x: float) -> None:
        self._median.update(x)
        self.value = self._median.spread()

    def refill(self, values: Sequence[float]) -> None:
        self._median.refill(values)
        self.value = self._median.spread()

    def bounds(self, low: float, high: float) -> Bounds | None:
        return (0.0, MAD_TO_SD * (high - low)) if _safe(low, high) else None


class Share(Window):
    __slots__ = ("_above", "_below", "_hits", "reach")

    def __init__(self, window: int, above: float | None, below: float | None) -> None:
        super().__init__(window, 0)
        self._above = -math.inf if above is None else above
        self._below = math.inf if below is None else below
        self._hits = 0
        self.reach = window

    def refill(self, values: Sequence[float]) -> None:
        self._values = deque(values)
        self._hits = sum([self._above < x < self._below for x in values])
        self.value = self._hits / self._window

    def bounds(self, low: float, high: float) -> Bounds | None:
        if self._above < low and high < self._below:
            return 1.0, 1.0
        return 0.0, 0.0 if high <= self._above or self._below <= low else 1.0

    def _step(self, entering: float, leaving: float | None) -> float:
        self._hits += self._above < entering < self._below
        if leaving is not None:
            self._hits -= self._above < leaving < self._below
        return self._hits / self._window if self._full() else NAN


class Gain:
    """The median of the newest quarter of the window minus the median of its oldest quarter."""

    __slots__ = ("_new", "_old", "_quarter", "reach", "value")
    median: ClassVar[type[Median]] = Median

    def __init__(self, window: int) -> None:
        self._quarter = quarter = max(1, window // 4)
        self._new = self.median(quarter, 0)
        self._old = self.median(quarter, window - quarter)
        self.reach = window
        self.value = NAN

    def update(self, x: float) -> None:
        self._new.update(x)
        self._old.update(x)
        self.value = self._new.value - self._old.value

    def run(self, values: Sequence[float]) -> list[float]:
        """The gain after each of the values."""
        found = list(map(sub, self._new.run(values), self._old.run(values)))
        self.value = self._new.value - self._old.value
        return found

    def refill(self, values: Sequence[float]) -> None:
        self._new.refill(values[-self._quarter :])
        self._old.refill(values)
        self.value = self._new.value - self._old.value

    def bounds(self, low: float, high: float) -> Bounds | None:
        return (low - high, high - low) if _safe(low, high) else None


class Noise:
    """1.4826 * median |first difference| / sqrt 2 over the window's differences."""

    __slots__ = ("_last", "_steps", "reach", "value")
    median: ClassVar[type[Median]] = Median

    def __init__(self, window: int, before: int = 0) -> None:
        self._last = NAN
        self._steps = self.median(window - 1, before)
        self.reach = window + before
        self.value = NAN

    def update(self, x: float) -> None:
        if self._last == self._last:
            self._steps.update(abs(x - self._last))
        self._last = x
        self.value = _noise(self._steps.value)

    def run(self, values: Sequence[float]) -> list[float]:
        """The noise after each of the values."""
        if self._last != self._last:
            self.update(values[0])
            return [self.value, *(self.run(values[1:]) if len(values) > 1 else ())]
        found = self._steps.run(list(map(abs, map(sub, values, [self._last, *values[:-1]]))))
        self._last = values[-1]
        self.value = _noise(found[-1])
        return [_noise(step) for step in found]

    def refill(self, values: Sequence[float]) -> None:
        self._steps.refill(list(map(abs, map(sub, values[1:], values[:-1]))))
        self._last = values[-1]
        self.value = _noise(self._steps.value)

    def bounds(self, low: float, high: float) -> Bounds | None:
        return (0.0, _noise(high - low)) if _safe(low, high) else None


def _noise(step: float) -> float:
    return MAD_TO_SD * step / math.sqrt(2.0)
