"""Features that are shown rather than judged: they speak from few rows on and then look back over a whole window."""

from __future__ import annotations

import math
from collections import deque

from rldk.engine.features import NAN, Median

LEAST = 20  # rows after which rules that calibrate themselves are armed, too
NEWEST = 10  # rows that are "now" in a trend


class Fraction:
    """The share of the newest rows, at most `window`, on which something was so; from `LEAST` rows on (or the window's
    size, if that is less)."""

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
    """`now`: the median of the newest `NEWEST` rows. `past`: that of the (at most `window`) rows before them. Both from
    2 * `NEWEST` rows on, NaN before."""

    __slots__ = ("_now", "_past", "_takers")

    def __init__(self, window: int) -> None:
        self._now = Median(NEWEST, 0, NEWEST)
        self._past = Median(window, NEWEST, NEWEST)
        self._takers = self._now.update, self._past.update

    def update(self, x: float) -> None:
        now, past = self._takers
        now(x)
        past(x)

    @property
    def now(self) -> float:
        return self._now.value if self._past.value == self._past.value else NAN

    @property
    def past(self) -> float:
        return self._past.value

    def doublings(self) -> float:
        """log2(now / past): 1 is twice as much. NaN where one of the two is not positive."""
        now, past = self._now.value, self._past.value
        return math.log2(now / past) if now > 0 and past > 0 else NAN

    def gap(self) -> float:
        """now - past."""
        return self._now.value - self._past.value
