"""Has a metric become restless: its row-to-row noise against what was usual in this run."""

from __future__ import annotations

import math

from rldk.engine.features import MAD_TO_SD, NAN, PAST_WINDOW, Median

LEAST = 10  # past windows before there is a usual noise


class Unrest:
    """The noise of the newest `window` values in units of the run's usual noise.

    Noise is 1.4826 * median |first difference| / sqrt 2, so that a ramp is no noise: of the values, of their logarithms
    (`log`; a value <= 0 is taken at 1e-12), or divided by the window's median (`relative`, a robust coefficient of
    variation). Usual is the median of the noises of windows that ended at least a window ago, at most 200 of them, ten
    at least. `floor` is the least noise that counts as usual.
    """

    __slots__ = ("_floor", "_last", "_level", "_log", "_past", "_relative", "_steps", "value")

    def __init__(self, window: int, log: bool, relative: bool, floor: float) -> None:
        self._log, self._relative, self._floor = log, relative, floor
        self._last = NAN
        self._steps = Median(window - 1, 0)
        self._level = Median(window, 0)
        self._past = Median(PAST_WINDOW, window, LEAST)
        self.value = NAN

    def update(self, x: float) -> None:
        y = math.log(max(x, 1e-12)) if self._log else x
        if self._last == self._last:
            self._steps.update(abs(y - self._last))
        self._last = y
        now = MAD_TO_SD * self._steps.value / math.sqrt(2.0)
        if self._relative:
            self._level.update(y)
            level = abs(self._level.value)
            now = now / level if level > 0.0 else now if now != now else math.inf if now else 0.0
        if not now < math.inf:  # not yet known, or relative to a level of 0
            return
        self._past.update(now)
        usual = max(self._past.value, self._floor)
        self.value = now / usual if usual > 0.0 else NAN if usual != usual else 1.0 if now == 0.0 else math.inf

    def rebase(self) -> None:
        """Takes no difference across a restart; how noisy the run usually is stays known."""
        self._last = NAN
