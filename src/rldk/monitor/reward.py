"""The state of the reward at the end of a run, over a window of its newest rows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

METRIC = "reward_mean"
WINDOW = 100
SATURATED = 0.01  # of the range seen in the whole run; a value this near to the best counts as the best
_MAX_EXACT = 1e150  # squares of larger values overflow


class RewardWindow:
    """The newest `size` finite values of `reward_mean` on training rows."""

    __slots__ = ("_high", "_low", "_size", "_values")

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._values: deque[float] = deque(maxlen=size)
        self._low, self._high = math.inf, -math.inf

    def follow(self, rewards: Iterable[float]) -> None:
        """Takes the rewards of the next rows."""
        values = [x for x in rewards if -_MAX_EXACT <= x <= _MAX_EXACT]
        if values:
            self._values.extend(values)
            self._low, self._high = min(self._low, *values), max(self._high, *values)

    def summary(self) -> dict[str, float | int | None]:
        """Statistics of the window: `mean`, `std` (divided by n), `trend` (least-squares slope a row), and
        `saturation`.

        `saturation` is the share of the window whose values are within 1 % of the run's range from its best value. It
        is None while the reward never varied. All are None without enough rows."""
        values = list(self._values)
        n = len(values)
        found: dict[str, float | int | None] = {"window": self._size, "rows": n}
        if n == 0:
            return {**found, "mean": None, "std": None, "trend": None, "saturation": None}
        mean = math.fsum(values) / n
        spread = math.fsum((x - mean) ** 2 for x in values)
        middle = (n - 1) / 2
        slope = math.fsum((i - middle) * (x - mean) for i, x in enumerate(values))
        steps = math.fsum((i - middle) ** 2 for i in range(n))
        span = self._high - self._low
        near = sum(x >= self._high - SATURATED * span for x in values)
        return {
            **found,
            "mean": mean,
            "std": math.sqrt(spread / n) if n > 1 else None,
            "trend": slope / steps if n > 1 else None,
            "saturation": near / n if span > 0 else None,
        }
