"""Features of the whole run so far: counts, firsts, extremes, repetitions, exponentially weighted means."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, islice
from operator import eq, sub

from rldk.core.stats.robust import middle
from rldk.engine.features.window import NAN, Bounds, each


def never_equal(last: float, values: Sequence[float]) -> bool:
    """Whether no value equals the one before it. `last`: the one before the first."""
    return values[0] != last and not any(map(eq, values, islice(values, 1, None)))


class Count:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def update(self, x: float) -> None:  # noqa: ARG002 - counts whatever comes
        self.value += 1.0

    def run(self, values: Sequence[float]) -> list[float]:
        """The count after each of the values."""
        start, self.value = int(self.value) + 1, self.value + len(values)
        return list(map(float, range(start, start + len(values))))


class Previous:
    __slots__ = ("_lag", "_past", "reach", "value")

    def __init__(self, lag: int) -> None:
        self._lag = lag
        self._past: deque[float] = deque(maxlen=lag)
        self.reach = lag + 1
        self.value = NAN

    def update(self, x: float) -> None:
        if len(self._past) == self._past.maxlen:
            self.value = self._past[0]
        self._past.append(x)

    def run(self, values: Sequence[float]) -> list[float]:
        """The value `lag` before each of the values."""
        lag, all_ = self._lag, [*self._past, *values]
        found = all_[: max(0, len(all_) - lag)]
        self._past.extend(values)
        found = [NAN] * (len(values) - len(found)) + found[-len(values) :]
        self.value = found[-1]
        return found

    def refill(self, values: Sequence[float]) -> None:
        self.value = values[0]
        self._past.extend(values)

    def bounds(self, low: float, high: float) -> Bounds | None:
        return low, high


class Rise:
    """The value minus the value `lag` values ago."""

    __slots__ = ("_past", "value")

    def __init__(self, lag: int) -> None:
        self._past = Previous(lag)
        self.value = NAN

    def update(self, x: float) -> None:
        self._past.update(x)
        self.value = x - self._past.value

    def run(self, values: Sequence[float]) -> list[float]:
        """The rise at each of the values."""
        found = list(map(sub, values, self._past.run(values)))
        self.value = found[-1]
        return found


class First:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = NAN

    def update(self, x: float) -> None:
        if self.value != self.value:
            self.value = x

    def run(self, values: Sequence[float]) -> list[float]:
        """The first value, once for each of the values."""
        self.update(values[0])
        return [self.value] * len(values)


class Last:
    """The newest finite value. It stays on rows that have none."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = NAN

    def update(self, x: float) -> None:
        self.value = x

    def run(self, values: Sequence[float]) -> list[float]:
        """The values."""
        self.value = values[-1]
        return list(values)


class Repeats:
    __slots__ = ("_last", "value")

    def __init__(self) -> None:
        self._last = NAN
        self.value = NAN

    def update(self, x: float) -> None:
        self.value = self.value + 1.0 if x == self._last else 1.0
        self._last = x

    def run(self, values: Sequence[float]) -> list[float]:
        """The length of the run of equal values after each of the values."""
        if self.is_new(values):
            self._last, self.value = values[-1], 1.0
            return [1.0] * len(values)
        last, same, found = self._last, self.value, []
        for x in values:
            same = same + 1.0 if x == last else 1.0
            last = x
            found.append(same)
        self._last, self.value = last, same
        return found

    def is_new(self, values: Sequence[float]) -> bool:
        """Whether no value equals the one before it."""
        return never_equal(self._last, values)


class Departed:
    """The value before the present run of equal values. While there was no other value, it is the present one."""

    __slots__ = ("_now", "value")

    def __init__(self) -> None:
        self._now = NAN
        self.value = NAN

    def update(self, x: float) -> None:
        if x != self._now:
            self.value, self._now = x if self._now != self._now else self._now, x

    def run(self, values: Sequence[float]) -> list[float]:
        """The value before the present run of equal ones, after each of the values."""
        if never_equal(self._now, values):
            found = [values[0] if self._now != self._now else self._now, *values[:-1]]
            self.value, self._now = found[-1], values[-1]
            return found
        return each(self, values)


class LongestRun:
    """The length of the longest run of equal values before the present one. It is 0 while there was no other."""

    __slots__ = ("_repeats", "value")

    def __init__(self) -> None:
        self._repeats = Repeats()
        self.value = NAN

    def update(self, x: float) -> None:
        run = self._repeats.value
        self._repeats.update(x)
        if self._repeats.value == 1.0:
            self.value = 0.0 if run != run else max(self.value, run)

    def run(self, values: Sequence[float]) -> list[float]:
        """The length of the longest run before the present one, after each of the values."""
        if self._repeats.value == 1.0 and self.value >= 1.0 and self._repeats.is_new(values):
            self._repeats.run(values)
            return [self.value] * len(values)
        return each(self, values)


class Recurrence:
    """The share of values, before the present run of equal ones, that equal the value before them. It is 0 while there
    are none."""

    __slots__ = ("_equal", "_last", "_n", "_same", "value")

    def __init__(self) -> None:
        self._last = NAN
        self._n = self._equal = self._same = 0
        self.value = 0.0

    def update(self, x: float) -> None:
        self._n += 1
        if x == self._last:
            self._same += 1
            return
        self._equal += self._same
        self._same = 0
        self._last = x
        self.value = self._equal / max(1, self._n - 1)

    def run(self, values: Sequence[float]) -> list[float]:
        """The share after each of the values."""
        if not never_equal(self._last, values):
            return each(self, values)
        n, equal = self._n, self._equal + self._same
        self._n, self._equal, self._same, self._last = n + len(values), equal, 0, values[-1]
        found = [equal / max(1, before) for before in range(n, n + len(values))] if equal else [0.0] * len(values)
        self.value = found[-1]
        return found


class Extreme:
    """The largest (sign 1) or smallest (sign -1) value so far, without the newest `before` values."""

    __slots__ = ("_before", "_held", "_sign", "value")

    def __init__(self, sign: int, before: int) -> None:
        self._sign = sign
        self._before = before
        self._held: deque[float] = deque(maxlen=before + 1)
        self.value = NAN

    def update(self, x: float) -> None:
        self._held.append(x)
        if len(self._held) == self._held.maxlen:
            old = self._held[0]
            if not self._sign * self.value >= self._sign * old:
                self.value = old

    def run(self, values: Sequence[float]) -> list[float]:
        """The extreme after each of the values."""
        all_, before, sign, best = [*self._held, *values], self._before, self._sign, self.value
        entering = all_[max(0, len(all_) - len(values) - before) : max(0, len(all_) - before)]
        self._held.extend(values)
        found = [best] * (len(values) - len(entering))
        if entering and (best >= max(entering) if sign > 0 else best <= min(entering)):
            return found + [best] * len(entering)
        begun = [best] if best == best else []
        found += islice(accumulate([*begun, *entering], max if sign > 0 else min), len(begun), None)
        self.value = found[-1]
        return found


class Early:
    """The median of values number start..stop-1. It is fixed once they are complete."""

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

    def run(self, values: Sequence[float]) -> list[float]:
        """The value after each of the values."""
        skipped = min(len(values), max(0, self._start - self._n))
        self._n += skipped
        found = [self.value] * skipped
        for x in values[skipped : skipped + max(0, self._stop - self._n)]:
            self.update(x)
            found.append(self.value)
        return found + [self.value] * (len(values) - len(found))


class EarlyMean:
    """The mean of values number start..stop-1. It is fixed once they are complete."""

    __slots__ = ("_n", "_start", "_stop", "_sum", "value")

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._stop, self._n = start, stop, 0
        self._sum = 0.0
        self.value = NAN

    def update(self, x: float) -> None:
        self._n += 1
        if self._n > self._stop or self._n <= self._start:
            return
        self._sum += x
        if self._n == self._stop:
            self.value = self._sum / (self._stop - self._start)


class Spread:
    """The largest minus the smallest of values number start..stop-1. It is fixed once they are complete."""

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

    def run(self, values: Sequence[float]) -> list[float]:
        """The value after each of the values."""
        found = []
        for x in values[: max(0, self._stop - self._n)]:
            self.update(x)
            found.append(self.value)
        return found + [self.value] * (len(values) - len(found))


class Ewma:
    __slots__ = ("_weight", "value")

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self.value = NAN

    def update(self, x: float) -> None:
        self.value = x if self.value != self.value else self.value + self._weight * (x - self.value)

    @property
    def weight(self) -> float:
        return self._weight

    def run(self, values: Sequence[float]) -> list[float]:
        """The mean after each of the values."""
        level, weight, found = self.value, self._weight, []
        for x in values:
            level = x if level != level else level + weight * (x - level)
            found.append(level)
        self.value = level
        return found


class Peak:
    """The largest EWMA from the tenth value on. Before that, the EWMA still mirrors the first values."""

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

    def run(self, values: Sequence[float]) -> list[float]:
        """The peak after each of the values."""
        n, best, found = self._n, self.value, []
        for n, level in enumerate(self._ewma.run(values), self._n + 1):
            if n >= 10 and not best >= level:
                best = level
            found.append(best)
        self._n, self.value = n, best
        return found
