"""When rows that wait are judged: at once where that is cheap or urgent, together where rows come fast."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from rldk.core.table import Row
from rldk.rules.rule import Rule

OPENING = 20  # first rows of a run: what is wrong with a setup shows there
MOST_WAITING = 16  # rows; judged together, each costs less than half of what it costs alone (benchmarks.hooks)
LONGEST_WAIT_S = 2.0
MARGIN = 0.5  # of the largest value so far: only a move beyond it hurries
ROUNDING = 1e-5  # a move within it is none
ALERT_ROWS = 5  # after such a move: the rules of tier 0 want at most so many rows to be sure


class JudgingPace:
    """Decides whether the rows that wait are judged now.

    They are judged when there are `every` of them, or when the last judging was `LONGEST_WAIT_S` ago. A training with
    slower steps never has a row that waits. Some rows do not wait either: the first `OPENING` ones, evaluations, rows
    with a value that is not finite, and rows on which a metric that a rule of tier 0 needs leaves its range so far."""

    def __init__(self, every: int = MOST_WAITING, clock: Callable[[], float] = time.monotonic) -> None:
        self.every = every
        self._clock = clock
        self._exact: set[str] = set()
        self._ranges: dict[str, tuple[float, float]] = {}
        self._urgent_rows = OPENING
        self._judged = -math.inf

    def watch(self, rules: Iterable[Rule]) -> None:
        """Learns which metrics must hold exactly: those that rules of tier 0 need."""
        for rule in rules:
            if rule.tier == 0:
                self._exact.update((rule.metric, *rule.needs, *rule.each))

    def is_due(self, row: Row, waiting: int) -> bool:
        """Whether the rows that wait, the newest of them `row`, are judged now. Asked once for each row."""
        now = self._clock()
        if self._is_urgent(row) or waiting >= self.every or now - self._judged >= LONGEST_WAIT_S:
            self._judged = now
            return True
        return False

    def _is_urgent(self, row: Row) -> bool:
        total = sum(row.values.values())
        if total - total != 0.0 or row.phase != "train":
            return True
        if self._has_left(row):
            self._urgent_rows = max(self._urgent_rows, ALERT_ROWS)
        self._urgent_rows -= 1
        return self._urgent_rows >= 0

    def _has_left(self, row: Row) -> bool:
        """Whether a metric of tier 0 is clearly beyond all its values so far."""
        left, ranges, values = False, self._ranges, row.values
        for name in self._exact.intersection(values):
            x = values[name]
            known = ranges.get(name)
            if known is None:
                ranges[name] = x, x
                left = True
            elif not known[0] <= x <= known[1]:
                low, high = known
                margin = MARGIN * max(abs(low), abs(high)) + ROUNDING
                left = left or not low - margin <= x <= high + margin
                ranges[name] = min(low, x), max(high, x)
        return left
