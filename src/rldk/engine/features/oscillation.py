"""Does a metric swing back and forth? This counts passages between two levels and measures how regular they are."""

from __future__ import annotations

import math
from collections import deque
from functools import cache
from operator import mul

from rldk.engine.features.window import NAN, total

ARMED = 20
CYCLES = 4  # in the window; slower swings are a trend or a random walk, not an oscillation
EVERY = 8  # values between two computations of the rhythm


class Swings:
    """How often, within the last `window` values, the metric went from above `high` to below `low` or back."""

    __slots__ = ("_high", "_low", "_n", "_side", "_turns", "_window", "value")

    def __init__(self, window: int, low: float, high: float) -> None:
        self._window, self._low, self._high = window, low, high
        self._side = self._n = 0
        self._turns: deque[int] = deque()
        self.value = NAN

    def update(self, x: float) -> None:
        self._n += 1
        side = 1 if x > self._high else -1 if x < self._low else self._side
        if side == -self._side and side:
            self._turns.append(self._n)
        self._side = side
        while self._turns and self._turns[0] <= self._n - self._window:
            self._turns.popleft()
        if self._n >= ARMED:
            self.value = float(len(self._turns))

    def rebase(self) -> None:
        """Forgets the passages, because the run was restarted."""
        self._turns.clear()
        self._side = self._n = 0
        self.value = NAN


class Rhythm:
    """How unlikely the swings of the last `window` values are by chance, in nats: -log p of Fisher's g test.

    g is the share of the largest peak among all frequencies of `CYCLES` or more in the window (slower ones are trend).
    The result is 0 while there are fewer passages between `low` and `high` than such a peak makes, so that the costly
    sums are rare. The sums, O(window^2), are recomputed every eighth value, because a sliding transform would
    accumulate rounding."""

    __slots__ = ("_n", "_swings", "_values", "value")

    def __init__(self, window: int, low: float, high: float) -> None:
        self._values: deque[float] = deque(maxlen=window)
        self._swings = Swings(window, low, high)
        self._n = 0
        self.value = NAN

    def update(self, x: float) -> None:
        self._values.append(x)
        self._swings.update(x)
        self._n += 1
        if self._n < ARMED:
            return
        if self._swings.value < 2 * CYCLES:
            self.value = 0.0
        elif self._n % EVERY == 0:
            self.value = _surprise(list(self._values))

    def rebase(self) -> None:
        self._values.clear()
        self._swings.rebase()
        self._n = 0
        self.value = NAN


@cache
def _waves(n: int) -> list[tuple[list[float], list[float]]]:
    turn = 2.0 * math.pi / n
    return [
        ([math.cos(turn * j * i) for i in range(n)], [math.sin(turn * j * i) for i in range(n)])
        for j in range(CYCLES, (n + 1) // 2)
    ]


def _surprise(values: list[float]) -> float:
    """-log P(g or more) under white noise by its first term, m (1 - g)^(m - 1); 0 where that is no probability."""
    mean = total(values) / len(values)
    rest = [v - mean for v in values]
    scale = max(map(abs, rest))
    if not 0.0 < scale < math.inf:
        return 0.0
    rest = [r / scale for r in rest]
    powers = [sum(map(mul, rest, cos)) ** 2 + sum(map(mul, rest, sin)) ** 2 for cos, sin in _waves(len(rest))]
    m, whole = len(powers), sum(powers)
    share = max(powers) / whole if whole > 0.0 else 0.0
    return max(0.0, -math.log(m) - (m - 1) * math.log(max(1.0 - share, 1e-12)))
