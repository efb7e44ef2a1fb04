"""How often work may be done that takes a while: a fixed share of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 0.05  # of the time; the loop that waits beside it looks at the other sources in the rest


class Pace:
    """What took a second is due again after twenty; nothing is before `least_s`."""

    def __init__(self, clock: Callable[[], float], least_s: float = 0.0) -> None:
        self._clock = clock
        self._least_s = least_s
        self._next = float("-inf")

    def due(self) -> bool:
        return self._clock() >= self._next

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measures the work inside."""
        began = self._clock()
        yield
        ended = self._clock()
        self._next = ended + max(self._least_s, (ended - began) / SHARE)
