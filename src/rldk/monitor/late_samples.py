"""Rows that wait until the other processes of a training have written their samples of the same step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rldk.core.table import Row

if TYPE_CHECKING:
    from rldk.monitor.sample_feed import SampleFeed

LONGEST_S = 2.0  # that a row waits
MOST = 256  # rows


class LateSamples:
    """Holds rows back while a rank owes samples of their step, in the order in which they came.

    Without it, the rules would see a part of the step, and what they find would depend on which process was quicker. A
    rank that is not there after `LONGEST_S` is not waited for again until it has caught up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: list[Row] = []
        self._since = 0.0
        self._given_up: frozenset[int] = frozenset()

    @property
    def holds(self) -> bool:
        """Whether a row waits."""
        return bool(self._held)

    def clear(self) -> None:
        """Forgets everything: the log begins again."""
        self._held, self._given_up = [], frozenset()

    def pass_on(self, rows: Sequence[Row], samples: SampleFeed, *, last: bool = False) -> list[Row]:
        """The rows whose samples are there, those that waited first. `last`: nothing more comes, so all are given."""
        if not self._held:
            self._since = self._clock()
        self._held += rows
        ready = 0
        while ready < len(self._held) and (last or not self._waits(self._held[ready], samples)):
            ready += 1
        given, self._held = self._held[:ready], self._held[ready:]
        if given:
            self._since = self._clock()
        return given

    def _waits(self, row: Row, samples: SampleFeed) -> bool:
        if row.phase != "train":
            return False
        behind = samples.behind(row.step)
        self._given_up &= behind
        if behind > self._given_up and (self._clock() - self._since >= LONGEST_S or len(self._held) > MOST):
            self._given_up = behind
        return behind > self._given_up
