"""Features that are shown and not judged. They start after few rows and then look back over a whole window."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

from rldk.core.stats.robust import middle
from rldk.engine.features.window import NAN, Median

LEAST = 20  # rows; rules that calibrate themselves start after as many
NEWEST = 10  # rows that count as "now" in a trend


class Fraction:
    """The share of the newest rows, at most `window`, on which something was true. It needs `LEAST` rows (or the size
    of the window, if that is less)."""

    __slots__ = ("_hits", "_least", "_rows", "value")

    def __init__(self, window: int) -> None:
        self._rows: deque[bool] = deque(maxlen=window)
        self._least = min(LEAST, window)
        self._hits = 0
        self.value = NAN

    def update(self, hit: bool) -> None:
        rows = self._rows
        if len(rows) == rows.maxlen:
            self._hits -= rows[0]
        rows.append(hit)
        self._hits += hit
        if len(rows) >= self._least:
            self.value = self._hits / len(rows)


class Recent:
    """Compares the newest values with those before them. `now`: the median of the newest `NEWEST` rows.

    `past`: the median of the rows before them, at most `window`. Both need 2 * `NEWEST` rows and are NaN before."""

    __slots__ = ("_newest", "_ordered", "_past", "now", "past")

    def __init__(self, window: int) -> None:
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []
        self._past = Median(window, 0, NEWEST)
        self.now = self.past = NAN

    def update(self, x: float) -> None:
        newest, ordered = self._newest, self._ordered
        newest.append(x)
        insort(ordered, x)
        if len(newest) <= NEWEST:
            return
        left = newest.popleft()
        del ordered[bisect_left(ordered, left)]
        self._past.update(left)
        self.past = self._past.value
        if self.past == self.past:
            self.now = middle(ordered)

    def doublings(self) -> float:
        """log2(now / past): 1 is twice as much. NaN where one of the two is not positive."""
        return math.log2(self.now / self.past) if self.now > 0 and self.past > 0 else NAN

    def gap(self) -> float:
        """now - past."""
        return self.now - self.past
