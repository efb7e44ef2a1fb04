"""Has a metric become restless? This compares its row-to-row noise with what was usual in this run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import sub
from typing import ClassVar

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features.window import NAN, PAST_WINDOW, Median

LEAST = 10  # past windows that a usual noise needs


class Unrest:
    """The noise of the newest `window` values in units of the run's usual noise.

    Noise is 1.4826 * median |first difference| / sqrt 2, so that a ramp counts as no noise. It is that of the values,
    of their logarithms (`log`; a value <= 0 is taken as 1e-12), or it is divided by the window's median (`relative`, a
    robust coefficient of variation). The usual noise is the median over windows that ended at least one window ago: at
    least ten and at most 200 of them. `floor` is the least noise that counts as usual."""

    __slots__ = ("_floor", "_last", "_level", "_log", "_past", "_relative", "_steps", "value")
    median: ClassVar[type[Median]] = Median

    def __init__(self, window: int, log: bool, relative: bool, floor: float) -> None:
        self._log, self._relative, self._floor = log, relative, floor
        self._last = NAN
        self._steps = self.median(window - 1, 0)
        self._level = self.median(window, 0)
        self._past = self.median(PAST_WINDOW, window, LEAST)
        self.value = NAN

    def update(self, x: float) -> None:
        y = math.log(max(x, 1e-12)) if self._log else x
        if self._last == self._last:
            self._steps.update(abs(y - self._last))
        self._last = y
        now = MAD_TO_SD * self._steps.value / math.sqrt(2.0)
        if self._relative:
            self._level.update(y)
            now = _relative(now, self._level.value)
        if not now < math.inf:  # not yet known, or relative to a level of 0
            return
        self._past.update(now)
        self.value = self._unrest(now, self._past.value)

    def run(self, values: Sequence[float]) -> list[float]:
        """The unrest after each of the values."""
        if self._last != self._last:
            self.update(values[0])
            return [self.value, *(self.run(values[1:]) if len(values) > 1 else ())]
        ys = [math.log(max(x, 1e-12)) for x in values] if self._log else values
        steps = self._steps.run(list(map(abs, map(sub, ys, [self._last, *ys[:-1]]))))
        self._last = ys[-1]
        noises = [MAD_TO_SD * step / math.sqrt(2.0) for step in steps]
        if self._relative:
            noises = list(map(_relative, noises, self._level.run(ys)))
        usual = iter(self._past.run([now for now in noises if now < math.inf]))
        found = []
        for now in noises:
            if now < math.inf:
                self.value = self._unrest(now, next(usual))
            found.append(self.value)
        return found

    def _unrest(self, now: float, past: float) -> float:
        usual = max(past, self._floor)
        return now / usual if usual > 0.0 else NAN if usual != usual else 1.0 if now == 0.0 else math.inf

    def rebase(self) -> None:
        """Takes no difference across a restart. The usual noise of the run stays known."""
        self._last = NAN


def _relative(noise: float, level: float) -> float:
    size = abs(level)
    return noise / size if size > 0.0 else noise if noise != noise else math.inf if noise else 0.0
