"""What a metric had gained and has lost again: the level that it had reached, where that rise began, what is left."""

from __future__ import annotations

import math

from rldk.engine.features import MAD_TO_SD, NAN, Mean, Median

STEPS = 40  # differences that the row-to-row noise is taken from
MATERIAL = 0.15  # of the larger of both levels in size: less does not matter, however clear it is
EDGE = 0.1  # of the gain, by which both ends of the window may be higher than its mean


class Top:
    """The highest level so far: the largest smaller mean of two halves of `rows` values, one after the other, of which
    the newer ends at value number `after` or later.

    `bottom` is the lowest level (the smallest larger mean of two halves) that there was before it; the first half of
    the run counts alone, as many runs rise at once."""

    __slots__ = ("_left", "_low", "_newer", "_older", "bottom", "value")

    def __init__(self, rows: int, after: int) -> None:
        half = rows // 2
        self._left = after
        self._newer, self._older = Mean(half, 0), Mean(half, half)
        self._low = self.bottom = math.inf
        self.value = NAN

    def update(self, x: float) -> None:
        self._newer.update(x)
        self._older.update(x)
        self._left -= 1
        newer, older = self._newer.value, self._older.value
        if older == older:
            self._low = min(self._low, max(newer, older) if self._low < math.inf else older)
            if self._left <= 0 and not min(newer, older) <= self.value:
                self.value, self.bottom = min(newer, older), self._low


class Drawdown:
    """The share of the gain that the newest `rows` values have lost, all along; 0 while none was clear, or too few.

    The gain is that from the bottom to the top of `Top(top, after)`. It is clear when it is above `clear` times the
    row-to-row noise that the run had before the newest rows, and what was lost is material. The loss is that of the
    mean of the rows, or of their first and last quarter and a tenth, whichever is least: a dip that is shorter than the
    rows leaves one of them high. Above 1 when the level is below the bottom."""

    __slots__ = ("_clear", "_last", "_newest", "_oldest", "_steps", "_top", "_whole", "value")

    def __init__(self, rows: int, top: int, clear: float, after: int) -> None:
        edge = max(1, rows // 4)
        self._clear = clear
        self._whole, self._newest, self._oldest = Mean(rows, 0), Mean(edge, 0), Mean(edge, rows - edge)
        self._top = Top(top, after)
        self._steps = Median(STEPS, rows, least=3)
        self._last = NAN
        self.value = 0.0

    def update(self, x: float) -> None:
        if self._last == self._last:
            self._steps.update(abs(x - self._last))
        self._last = x
        for feature in (self._whole, self._newest, self._oldest, self._top):
            feature.update(x)
        self.value = self._lost()

    def _lost(self) -> float:
        step, left, top, bottom = self._steps.value, self._whole.value, self._top.value, self._top.bottom
        gain, lost = top - bottom, top - left
        clear = gain > self._clear * MAD_TO_SD * step / math.sqrt(2.0)  # false while one of them is not known
        if not (clear and lost > MATERIAL * max(abs(top), abs(bottom)) and lost < math.inf):
            return 0.0
        ends = top - max(self._newest.value, self._oldest.value)
        return min(lost, ends + EDGE * gain) / gain
