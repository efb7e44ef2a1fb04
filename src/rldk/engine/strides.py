"""Features of the way from one value to the next."""

from __future__ import annotations

from rldk.engine.features import NAN, Extreme


class LargestStep:
    """The largest |first difference| so far but for the newest `before` ones."""

    __slots__ = ("_largest", "_last", "value")

    def __init__(self, before: int) -> None:
        self._last = NAN
        self._largest = Extreme(1, before)
        self.value = NAN

    def update(self, x: float) -> None:
        if self._last == self._last:
            self._largest.update(abs(x - self._last))
            self.value = self._largest.value
        self._last = x
