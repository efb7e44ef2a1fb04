"""The robust local-line test: has a metric left its own course by more than its noise on three rows in a row?

The parts were measured on labelled real trainings: 24 rows of past and a Theil-Sen line. The scale is the larger of the
MAD of the residuals, the MAD of the differences, and a floor. All three newest rows must be off the line and off the
level, on the same side."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from rldk.core.stats.robust import mad, median
from rldk.engine.features.window import NAN

PAST = 24
LATEST = 3
RECENT = 8  # newest values of the past: their median is the level, and the latest rows must lie beyond all of them
K = 5.0  # in scales; this limit gave no false alarm on healthy real runs
HOLD = 50  # rows for which a reference is kept while the values stay away from it
_RECENT = range(LATEST + 1, LATEST + RECENT + 1)  # positions counted from the end
ARMED = 20  # total rows before the test speaks; the past is then 17 rows


class Leap:
    """The signed number of scales by which all three newest values lie off the line and the recent level of their past.

    They must also lie beyond every one of the eight values before them, so that the costly line is rarely computed. The
    result is 0 when they are on different sides, and NaN before 20 values. Once the values are off by `K` scales, that
    level and scale stay the reference until the values are back within half of it or `HOLD` rows have passed. A lasting
    shift is therefore one range of rows. A value <= 0 has no logarithm: with `log` it is taken as 1e-12. `peak`: the
    largest distance so far, without sign."""

    __slots__ = ("_floor", "_held", "_level", "_log", "_scale", "_values", "peak", "value")

    def __init__(self, log: bool, floor: float) -> None:
        self._log = log
        self._floor = floor
        self._values: deque[float] = deque(maxlen=PAST + LATEST)
        self._held = 0
        self._level = self._scale = NAN
        self.value = NAN
        self.peak = 0.0

    def update(self, x: float) -> None:
        self._take(math.log(max(x, 1e-12)) if self._log else x)

    def run(self, values: Sequence[float], beyond: Sequence[int] | None = None) -> list[float]:
        """The distance after each of the values. `beyond`: the values on which the latest are all above or all below
        the recent ones, if somebody knows them; these must be the first values of the feature."""
        if beyond is not None:
            return self._leap([math.log(max(x, 1e-12)) for x in values] if self._log else list(values), beyond)
        left, found = [math.log(max(x, 1e-12)) for x in values] if self._log else list(values), []
        while left:
            quiet = self._quiet(left) if not self._held and len(self._values) >= ARMED else 0
            found += [0.0] * quiet
            if quiet < len(left):
                self._take(left[quiet])
                found.append(self.value)
            left = left[quiet + 1 :]
        return found

    def _leap(self, values: list[float], beyond: Sequence[int]) -> list[float]:
        """The distance after each of the values, the first ones of the run."""
        found: list[float] = []
        ends = iter([*beyond, len(values)])
        end = next(ends)
        while len(found) < len(values):
            at = len(found)
            while end < at:
                end = next(ends)
            if not self._held and len(self._values) >= ARMED and end > at:
                self._values.extend(values[max(at, end - PAST - LATEST) : end])
                self.value = 0.0
                found += [0.0] * (end - at)
            else:
                self._take(values[at])
                found.append(self.value)
        return found

    def _quiet(self, values: list[float]) -> int:
        """Takes the first values for as long as the distance stays 0, and returns how many those were.

        The condition is that of `_within`, but most values are already within the one value before the latest three."""
        line, start = [*self._values, *values], len(self._values)
        d, c, b = line[start - 3], line[start - 2], line[start - 1]
        count = len(values)
        for i, a in enumerate(values):
            if not ((a <= d or b <= d or c <= d) and (a >= d or b >= d or c >= d)):
                recent = line[start + i - RECENT - LATEST + 1 : start + i - LATEST + 1]
                if min(a, b, c) > max(recent) or max(a, b, c) < min(recent):
                    count = i
                    break
            d, c, b = c, b, a
        self._values.extend(values[:count])
        if count:
            self.value = 0.0
        return count

    def _take(self, y: float) -> None:
        held = self._values
        held.append(y)
        if len(held) < ARMED:
            return
        if not self._held and self._within(held):
            self.value = 0.0
            return
        values = list(held)
        past, latest = values[:-LATEST], values[-LATEST:]
        if self._held:
            self._held -= 1
            self.value = _least((y - self._level) / self._scale for y in latest)
            if abs(self.value) < K / 2 or not self._held:
                self._held = 0
                self._values.clear()
                self._values.extend(latest)
        else:
            self.value = self._distance(past, latest)
            if abs(self.value) >= K:
                self._held = HOLD
        self.peak = max(self.peak, abs(self.value))

    def rebase(self) -> None:
        """Forgets the course. A restart begins another one, which is tested once it has a past again."""
        self._values.clear()
        self._held = 0
        self.value = NAN

    def _within(self, values: deque[float]) -> bool:
        """Whether the latest values are neither all above nor all below the recent ones. This is nearly always so."""
        a, b, c = values[-1], values[-2], values[-3]
        recent = [values[-i] for i in _RECENT]
        high = max(recent)
        if a > high and b > high and c > high:
            return False
        low = min(recent)
        return not (a < low and b < low and c < low)

    def _distance(self, past: list[float], latest: list[float]) -> float:
        recent = past[-RECENT:]
        low, high = min(recent), max(recent)
        slope, start = _line(past)
        n = len(past)
        residuals = [y - (start + slope * i) for i, y in enumerate(past)]
        steps = [past[i] - past[i - 1] for i in range(1, n)]
        relative = 1e-9 * max(abs(low), abs(high), 1e-3)  # allows for rounding when a metric was exactly constant
        self._scale = max(_mad(residuals), _mad(steps) / math.sqrt(2.0), self._floor, relative)
        self._level = median(recent)
        off = [y - (start + slope * (n + j)) for j, y in enumerate(latest)] + [y - self._level for y in latest]
        return _least(d / self._scale for d in off)


def _least(distances: Iterable[float]) -> float:
    """The distance nearest to zero when all have one sign, else 0."""
    values = list(distances)
    return min(values) if min(values) > 0.0 else max(values) if max(values) < 0.0 else 0.0


def _mad(values: list[float]) -> float:
    centre = median(values)
    return mad(values, centre)


def _line(y: list[float]) -> tuple[float, float]:
    """Slope and start of the Theil-Sen line: the median of all pairwise slopes, and the median of the residuals."""
    n = len(y)
    slope = median([(y[j] - y[i]) / (j - i) for i in range(n) for j in range(i + 1, n)])
    return slope, median([v - slope * i for i, v in enumerate(y)])
