"""Features of the direction of a metric: rises in a row, the age of the best value, quantiles, block means of the whole
run."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

from rldk.core.table import Phase
from rldk.engine.features.window import NAN, Window

BLOCKS = 128  # block means to keep; the last quarter then has 16 to 32 of them, enough for a slope and its error


class Climbs:
    """How many of the last `window` steps from one value to the next were rises."""

    __slots__ = ("_last", "_rises", "_up", "value")

    def __init__(self, window: int) -> None:
        self._rises: deque[bool] = deque(maxlen=window)
        self._last = NAN
        self._up = 0
        self.value = NAN

    def update(self, x: float) -> None:
        last, self._last = self._last, x
        if last != last:
            return
        rises = self._rises
        full = len(rises) == rises.maxlen
        self._up += (x > last) - (full and rises[0])
        rises.append(x > last)
        if len(rises) == rises.maxlen:
            self.value = float(self._up)


class Age:
    """How many values ago the largest (sign 1) or smallest (sign -1) value was last seen. It is 0 when it is this
    one."""

    __slots__ = ("_best", "_sign", "value")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._best = NAN
        self.value = NAN

    def update(self, x: float) -> None:
        signed = self._sign * x
        if not signed < self._best:
            self._best, self.value = signed, 0.0
        else:
            self.value += 1.0


class Quantile(Window):
    """The smallest value of the window that at least a `share` of its values do not exceed. It needs `least` values."""

    __slots__ = ("_least", "_ordered", "_share")

    def __init__(self, window: int, share: float, before: int, least: int) -> None:
        super().__init__(window, before)
        self._share = share
        self._least = least
        self._ordered: list[float] = []

    def _step(self, entering: float, leaving: float | None) -> float:
        ordered = self._ordered
        insort(ordered, entering)
        if leaving is not None:
            del ordered[bisect_left(ordered, leaving)]
        n = len(ordered)
        return ordered[max(0, math.ceil(self._share * n) - 1)] if n >= self._least else NAN


class Blocks:
    """The means of all values so far in blocks of equal size, at most `BLOCKS` of them. When they are full, each two
    are joined.

    Memory is bounded and the shape of the whole series is kept. `means` are those of complete blocks, oldest first.
    `size` is the number of values in each, and `value` is the number of means."""

    __slots__ = ("_n", "_sum", "means", "size", "value")

    def __init__(self) -> None:
        self.means: list[float] = []
        self.size = 1
        self._sum = 0.0
        self._n = 0
        self.value = 0.0

    def update(self, x: float) -> None:
        self._sum += x
        self._n += 1
        if self._n < self.size:
            return
        means = self.means
        means.append(self._sum / self.size)
        self._sum, self._n = 0.0, 0
        if len(means) == BLOCKS:
            self.means = [0.5 * a + 0.5 * b for a, b in zip(means[::2], means[1::2], strict=True)]
            self.size *= 2
        self.value = float(len(self.means))


class RowSeconds:
    """Seconds since the row before, of whichever phase, by the time that the source gives. NaN where it gives none.

    Where rows have no time, a trainer's own clock of elapsed time (`wall_time`) serves instead. The two are never
    mixed."""

    __slots__ = ("_last", "_timed")

    def __init__(self) -> None:
        self._last = NAN
        self._timed = False

    def intervals(self, phase: Phase, times: Sequence[float], clock: Sequence[float]) -> list[float]:
        """The seconds before each of the next rows, all of one phase. `clock`: their `wall_time`, where they have
        it."""
        if phase == "summary":
            return [NAN] * len(times)
        return list(map(self._since, times, clock or [NAN] * len(times)))

    def _since(self, now: float, clock: float) -> float:
        if now - now == 0.0:
            if not self._timed:
                self._timed, self._last = True, NAN
        elif not self._timed:
            now = clock
        if now - now != 0.0:
            return NAN
        last, self._last = self._last, now
        return now - last if now >= last else NAN
