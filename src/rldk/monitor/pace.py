"""Limits how often slow work is done, to a fixed share of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 0.05  # of the time; in the rest the waiting loop looks at the other sources


class Pace:
    """Work that took a second is due again after twenty seconds. No work is due before `least_s`."""

    def __init__(self, clock: Callable[[], float], least_s: float = 0.0) -> None:
        self._clock = clock
        self._least_s = least_s
        self._next = float("-inf")

    def due(self) -> bool:
        return self._clock() >= self._next

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measures the time of the work inside."""
        began = self._clock()
        yield
        ended = self._clock()
        self._next = ended + max(self._least_s, (ended - began) / SHARE)
