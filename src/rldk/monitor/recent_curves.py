"""The newest values of the key metrics, for the panel."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from rldk.cards.series import KEY_METRICS, Series

LENGTH = 240  # rows: four a column of the sparkline


class RecentCurves:
    """Steps and values of `KEY_METRICS` on training rows, the newest `LENGTH` of each."""

    def __init__(self) -> None:
        self._held: dict[str, deque[tuple[int, float]]] = {}

    def update(self, step: int, values: Mapping[str, float]) -> None:
        for name in KEY_METRICS:
            if name in values:
                self._held.setdefault(name, deque(maxlen=LENGTH)).append((step, values[name]))

    def series(self, most: int) -> dict[str, Series]:
        """The curves of the first `most` key metrics that are there."""
        found = [name for name in KEY_METRICS if name in self._held][:most]
        return {name: _series(list(self._held[name])) for name in found}


def _series(points: list[tuple[int, float]]) -> Series:
    finite = [(step, x) for step, x in points if math.isfinite(x)]
    return Series(
        step=[step for step, _ in finite],
        value=[x for _, x in finite],
        gaps=[step for step, x in points if not math.isfinite(x)],
        rows=len(points),
    )
