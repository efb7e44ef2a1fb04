"""What a metric had gained and has lost again: the level it reached, where that rise began, and what is left."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import islice

from rldk.core.stats.robust import MAD_TO_SD, middle
from rldk.engine.features.window import NAN, total

STEPS, FEWEST = 40, 3  # most and fewest differences that the row-to-row noise is estimated from
MATERIAL = 0.15  # of the larger of both levels, by size; a smaller loss does not matter, however clear it is
HUGE = 1e150  # a larger step has no finite square
SLACK = 1e-9  # of the largest value; a running sum of a few thousand rows errs by a millionth of that
EDGE = 0.1  # of the gain; both ends of the window may be higher than its mean by so much


class Top:
    """The highest level so far. A level is the smaller mean of two neighbouring halves of `rows` values.

    Only pairs whose newer half ends at value number `after` or later count. `bottom` is the lowest level before the top
    (here a level is the larger of the two means). The first half of the run counts alone, because many runs rise at
    once. Sums are exactly rounded, so that no error accumulates."""

    __slots__ = ("_half", "_left", "_low", "_means", "_newest", "bottom", "value")

    def __init__(self, rows: int, after: int) -> None:
        self._half, self._left = rows // 2, after
        self._newest: deque[float] = deque(maxlen=self._half)
        self._means: deque[float] = deque(maxlen=self._half + 1)
        self._low = self.bottom = math.inf
        self.value = NAN

    def update(self, x: float) -> None:
        newest, means = self._newest, self._means
        newest.append(x)
        self._left -= 1
        if len(newest) < self._half:
            return
        newer = total(newest) / self._half
        means.append(newer)
        if len(means) <= self._half:
            return
        older = means[0]
        high, low = (newer, older) if newer > older else (older, newer)
        self._low = min(self._low, high if self._low < math.inf else older)
        if self._left <= 0 and not low <= self.value:
            self.value, self.bottom = low, self._low


class Drawdown:
    """The share of the gain that the newest `rows` values have lost, all along. It is 0 while no gain was clear, or
    with too few rows.

    The gain is the difference between the bottom and the top of `Top(top, after)`. The gain is clear when it is above
    `clear` times the row-to-row noise before the newest rows. The loss must be material. The loss is the smallest of
    three: that of the mean of the rows, and those of their first and last fifth plus a tenth of the gain. A dip that is
    shorter than the rows leaves one end high. The value is above 1 when the level is below the bottom."""

    __slots__ = ("_clear", "_rows", "_squares", "_steps", "_top", "_values", "value")

    def __init__(self, rows: int, top: int, clear: float, after: int) -> None:
        self._rows, self._clear = rows, clear
        self._values: deque[float] = deque(maxlen=rows)
        self._steps: deque[float] = deque(maxlen=STEPS + rows)  # from row to row, those of the newest rows included
        self._squares: deque[float] = deque(maxlen=STEPS + rows)
        self._top = Top(top, after)
        self.value = 0.0

    def update(self, x: float) -> None:
        values = self._values
        if values:
            step = abs(x - values[-1])
            self._steps.append(step)
            capped = min(step, HUGE)
            self._squares.append(capped * capped)
        values.append(x)
        self._top.update(x)
        self.value = self._lost() if len(values) == self._rows else 0.0

    def run(self, values: Sequence[float]) -> list[float]:
        """The value after each of the values. The exact mean of the newest rows is only worked out where an inexact one
        says that the loss may be material, which it seldom is."""
        newest, steps, squares, top, rows, found = self._values, self._steps, self._squares, self._top, self._rows, []
        every, size, age = sum(newest), max(map(abs, newest), default=0.0), 0
        for x in values:
            if newest:
                step = abs(x - newest[-1])
                steps.append(step)
                capped = step if step < HUGE else HUGE
                squares.append(capped * capped)
            if len(newest) == rows:
                every -= newest[0]
            newest.append(x)
            every += x
            age += 1
            if age >= rows:
                every, size, age = sum(newest), max(map(abs, newest)), 0
            elif abs(x) > size:
                size = abs(x)
            top.update(x)
            lost = 0.0
            if len(newest) == rows:
                high = top.value
                surely = high - every / rows + SLACK * (size + abs(high))  # the loss is no larger than this
                if not surely < MATERIAL * max(abs(high), abs(top.bottom)):
                    lost = self._lost()
            found.append(lost)
        self.value = found[-1] if found else self.value
        return found

    def _lost(self) -> float:
        top, bottom, rows = self._top.value, self._top.bottom, self._rows
        gain, lost = top - bottom, top - total(self._values) / rows
        # false while there is no top yet, or where sums overflow
        if not MATERIAL * max(abs(top), abs(bottom)) < lost < math.inf or not gain > self._clear * self._noise():
            return 0.0
        edge = max(1, rows // 5)
        first, last = islice(self._values, edge), islice(self._values, rows - edge, rows)
        ends = top - max(total(first), total(last)) / edge
        return min(lost, ends + EDGE * gain) / gain

    def _noise(self) -> float:
        """The larger of two scales: a robust scale of the steps before the newest rows, and the root mean square of all
        steps.

        For rewards that are 0 on most rows the median step is 0 and says nothing about the other steps."""
        steps = sorted(islice(self._steps, max(0, len(self._steps) - self._rows)))
        if len(steps) < FEWEST:
            return math.inf
        square = total(self._squares) / len(self._squares)
        return max(MAD_TO_SD * middle(steps), math.sqrt(square)) / math.sqrt(2.0)
