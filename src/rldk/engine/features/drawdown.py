"""What a metric had gained and has lost again: the level it reached, where that rise began, and what is left."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice
from operator import mul, sub

from rldk.core.stats.robust import MAD_TO_SD, middle
from rldk.engine.features.window import NAN, total, totals

STEPS, FEWEST = 40, 3  # most and fewest differences that the row-to-row noise is estimated from
MATERIAL = 0.15  # of the larger of both levels, by size; a smaller loss does not matter, however clear it is
HUGE = 1e150  # a larger step has no finite square
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
        self._means: deque[float] = deque(maxlen=self._half)
        self._low = self.bottom = math.inf
        self.value = NAN

    def update(self, x: float) -> None:
        newest, means = self._newest, self._means
        newest.append(x)
        self._left -= 1
        if len(newest) < self._half:
            return
        newer, older = total(newest) / self._half, means[0] if len(means) == self._half else NAN
        means.append(newer)
        if older == older:
            self._compare(newer, older)

    def run(self, values: Sequence[float]) -> list[float]:
        """The top after each of the values."""
        return self.levels(values)[0]

    def levels(self, values: Sequence[float]) -> tuple[list[float], list[float]]:
        """The top and the bottom after each of the values."""
        half, line = self._half, [*self._newest, *values]
        means = [*self._means, *(x / half for x in totals(line, half, len(values)))]
        pairs = max(0, len(means) - half)  # the other values have no two halves before them
        silent = len(values) - pairs
        tops, bottoms = [self.value] * silent, [self.bottom] * silent
        self._left -= silent
        for newer, older in zip(means[half:], means, strict=False):
            self._left -= 1
            # on most rows neither the top nor the lowest level changes
            if not (newer <= self.value or older <= self.value) or not (self._low <= newer or self._low <= older):
                self._compare(newer, older)
            tops.append(self.value)
            bottoms.append(self.bottom)
        self._newest, self._means = deque(line[-half:], half), deque(means[-half:], half)
        return tops, bottoms

    def _compare(self, newer: float, older: float) -> None:
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

    __slots__ = ("_clear", "_rows", "_top", "_values", "value")

    def __init__(self, rows: int, top: int, clear: float, after: int) -> None:
        self._rows, self._clear = rows, clear
        self._values: deque[float] = deque(maxlen=STEPS + rows + 1)
        self._top = Top(top, after)
        self.value = 0.0

    def update(self, x: float) -> None:
        values, rows = self._values, self._rows
        values.append(x)
        self._top.update(x)
        if len(values) >= rows:
            newest = total(islice(values, len(values) - rows, None))
            self.value = self.lost(self._top.value, self._top.bottom, newest, values)

    def run(self, values: Sequence[float]) -> list[float]:
        """The share after each of the values."""
        rows, kept, line = self._rows, STEPS + self._rows + 1, [*self._values, *values]
        tops, bottoms = self._top.levels(values)
        sums = totals(line, rows, len(values))
        early = len(values) - len(sums)
        found, end = [0.0] * early, len(line) - len(sums)
        for top, bottom, newest in zip(tops[early:], bottoms[early:], sums, strict=True):
            end += 1
            # the loss does not matter on most rows
            lost = top - newest / rows
            if lost > MATERIAL * top:
                found.append(self.lost(top, bottom, newest, line[max(0, end - kept) : end]))
            else:
                found.append(0.0)
        self._values = deque(line[-kept:], kept)
        self.value = found[-1]
        return found

    def lost(self, top: float, bottom: float, newest: float, values: Collection[float]) -> float:
        """The share of the gain that is lost. `newest`: the sum of the newest rows; `values`: all that are kept."""
        rows = self._rows
        gain, lost = top - bottom, top - newest / rows
        # false while there is no top yet, or where sums overflow
        if not MATERIAL * max(abs(top), abs(bottom)) < lost < math.inf:
            return 0.0
        line = list(values)
        if not gain > self._clear * self._noise(line):
            return 0.0
        edge = max(1, rows // 5)
        ends = top - max(total(line[-rows : edge - rows]), total(line[-edge:])) / edge
        return min(lost, ends + EDGE * gain) / gain

    def _noise(self, line: Sequence[float]) -> float:
        """The larger of two scales: a robust scale of the steps before the newest rows, and the root mean square of all
        steps.

        For rewards that are 0 on most rows the median step is 0 and says nothing about the other steps."""
        steps = list(map(abs, map(sub, line[1:], line)))
        before = sorted(steps[: max(0, len(steps) - self._rows)])
        if len(before) < FEWEST:
            return math.inf
        capped = [min(step, HUGE) for step in steps]
        square = total(map(mul, capped, capped)) / len(steps)
        return max(MAD_TO_SD * middle(before), math.sqrt(square)) / math.sqrt(2.0)
