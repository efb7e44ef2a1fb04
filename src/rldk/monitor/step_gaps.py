"""How the steps of a log advance: where they go back, and where they jump."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MOST_KINDS = 1000  # different step sizes to remember; a log with more has no usual one
LEAP = 2  # usual step sizes; a larger advance without a row is a gap


class StepGaps:
    """The advances from one training row to the next."""

    __slots__ = ("_last", "_seen", "first", "rows", "turns")

    def __init__(self) -> None:
        self.first: int | None = None
        self.rows = 0
        self.turns = 0  # rows whose step is below that of the row before
        self._last = 0
        self._seen: Counter[int] = Counter()

    @property
    def last(self) -> int | None:
        return None if self.first is None else self._last

    def follow(self, steps: Iterable[int]) -> None:
        """Takes the steps of the next rows."""
        last, seen = self._last, self._seen
        for step in steps:
            self.rows += 1
            if self.first is None:
                self.first = step
            elif step < last:
                self.turns += 1
            elif step > last and (step - last in seen or len(seen) < MOST_KINDS):
                seen[step - last] += 1
            last = step
        self._last = last

    def count(self) -> int:
        """Advances of more than twice the most common one; 0 where none is common."""
        if len(self._seen) >= MOST_KINDS or not self._seen:
            return 0
        usual, times = min(self._seen.items(), key=lambda pair: (-pair[1], pair[0]))
        return sum(n for stride, n in self._seen.items() if stride > LEAP * usual) if times > 1 else 0
