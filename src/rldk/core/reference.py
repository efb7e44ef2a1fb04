"""An approved run as the baseline of another: the level of each metric at a step, and its scatter."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from rldk.core.stats.robust import mad, median

if TYPE_CHECKING:
    from rldk.core.model import Run

HALF = 7  # rows on either side that enter the median of a level
OVERRUN = 1.05  # a reference says nothing further beyond its last step than this


class Baseline(Protocol):
    """What rules may ask of a reference run."""

    def level(self, name: str, step: int) -> float:
        """The level of the metric at that step. NaN when the reference lacks it or ended before."""

    def spread(self, name: str, step: int) -> float:
        """The robust standard deviation of the metric around that level."""


class _Curve(Struct, frozen=True):
    steps: list[int]
    levels: list[float]
    spreads: list[float]


class Reference:
    """The training rows of one run, smoothed: medians and MADs (scaled to a standard deviation) of 15 rows."""

    def __init__(self, columns: Mapping[str, tuple[list[int], list[float]]], run: Run | None = None) -> None:
        """`columns`: for each metric its finite values and their steps, in order of the rows. `run`: where they are
        from, for rules that look at both runs."""
        self.run = run
        self._curves = {name: _smooth(steps, values) for name, (steps, values) in columns.items() if steps}

    def level(self, name: str, step: int) -> float:
        return self._at(name, step, "levels")

    def spread(self, name: str, step: int) -> float:
        return self._at(name, step, "spreads")

    def _at(self, name: str, step: int, of: str) -> float:
        curve = self._curves.get(name)
        if curve is None or step > curve.steps[-1] * OVERRUN:
            return math.nan
        values: list[float] = getattr(curve, of)
        return values[max(0, bisect_right(curve.steps, step) - 1)]


def _smooth(steps: list[int], values: list[float]) -> _Curve:
    if steps != sorted(steps):  # after a restart, the last value at a step counts
        newest = dict(zip(steps, values, strict=True))
        steps = sorted(newest)
        values = [newest[s] for s in steps]
    levels, spreads = [], []
    for i in range(len(values)):
        near = values[max(0, i - HALF) : i + HALF + 1]
        centre = median(near)
        levels.append(centre)
        spreads.append(mad(near, centre))
    return _Curve(steps, levels, spreads)
