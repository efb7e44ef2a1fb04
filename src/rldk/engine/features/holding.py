"""Whether a log repeats each value of a metric until the next one is known."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.engine.features.whole_run import never_equal
from rldk.engine.features.window import NAN, each

LONG = 3  # equal values; two may be equal by chance, or be logged twice
FEWEST = 5  # ended runs of equal values, before which their lengths say nothing


class HeldShare:
    """The share of the runs of equal values before the present one that have `LONG` values or more. It is 0 while there
    are fewer than `FEWEST` such runs."""

    __slots__ = ("_last", "_long", "_runs", "_same", "value")

    def __init__(self) -> None:
        self._last = NAN
        self._runs = self._long = self._same = 0
        self.value = 0.0

    def update(self, x: float) -> None:
        if x == self._last:
            self._same += 1
            return
        if self._last == self._last:
            self._runs += 1
            self._long += self._same >= LONG
        self._last, self._same = x, 1
        self.value = self._long / self._runs if self._runs >= FEWEST else 0.0

    def run(self, values: Sequence[float]) -> list[float]:
        """The share after each of the values."""
        if self._last != self._last or not never_equal(self._last, values):
            return each(self, values)
        before, long = self._runs, self._long + (self._same >= LONG)
        self._runs, self._long, self._last, self._same = before + len(values), long, values[-1], 1
        ended = range(before + 1, self._runs + 1)
        found = [long / runs if runs >= FEWEST else 0.0 for runs in ended] if long else [0.0] * len(values)
        self.value = found[-1]
        return found
