"""The direction of a metric: the trend of its block medians, when their order is not chance."""

from __future__ import annotations

import math
from collections import Counter, deque

from rldk.core.stats.robust import middle
from rldk.engine.features.window import NAN

CHANCE = 3.29  # |z| of a two-sided p of 0.001


class Drift:
    """How far the metric has moved along a trend over the last `blocks` medians of `block` values each.

    It is the Theil-Sen slope of the block medians times the number of blocks between first and last. It is 0 when
    Mann-Kendall finds their order compatible with chance (p >= 0.001). Block medians are used because row-to-row noise
    is autocorrelated: the same test on single rows finds a trend in most healthy AR(1) series. The trend is recomputed
    when a block is complete, which is O(blocks^2). A value <= 0 has no logarithm: with `log` it is taken as 1e-12."""

    __slots__ = ("_block", "_log", "_medians", "_open", "value")

    def __init__(self, block: int, blocks: int, log: bool) -> None:
        self._block = block
        self._log = log
        self._open: list[float] = []
        self._medians: deque[float] = deque(maxlen=blocks)
        self.value = NAN

    def update(self, x: float) -> None:
        self._open.append(math.log(max(x, 1e-12)) if self._log else x)
        if len(self._open) < self._block:
            return
        self._medians.append(middle(sorted(self._open)))
        self._open.clear()
        if len(self._medians) == self._medians.maxlen:
            medians = list(self._medians)
            self.value = _climb(medians) if abs(_order(medians)) > CHANCE else 0.0

    def rebase(self) -> None:
        """Forgets the course, because the run was restarted."""
        self._open.clear()
        self._medians.clear()
        self.value = NAN


def _order(y: list[float]) -> float:
    """The Mann-Kendall z of a series, with the corrections for ties and for continuity."""
    n = len(y)
    s = sum((y[j] > y[i]) - (y[j] < y[i]) for i in range(n) for j in range(i + 1, n))
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(y).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18.0
    return (s - math.copysign(1.0, s)) / math.sqrt(variance) if s else 0.0


def _climb(y: list[float]) -> float:
    n = len(y)
    return (n - 1) * middle(sorted((y[j] - y[i]) / (j - i) for i in range(n) for j in range(i + 1, n)))
