"""How the values of a metric were made, as far as the printed digits show it.

What the source says about them (such as a mean over so many steps) is in `frame`, which knows the framework and the
clock."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.engine.features.window import NAN

DECIMALS = 4  # consoles print three or four; a number written in full has more (float32: seven digits)
EVIDENCE = 6  # distinct values with so few decimals; two full numbers in a row have so few once in 1e6 times
DYADIC = 1024  # means of 2, 4, ... 1024 whole rewards have few decimals although they were not rounded

# Metrics that most logs hold and that seldom have few decimals by chance. They show how a log prints its numbers.
PRINTED = ("reward_mean", "loss", "policy_loss", "entropy", "grad_norm", "response_length_mean")


class Digits:
    """Half a unit of the last decimal that a metric is printed with. It is 0 once a value had more than `DECIMALS`.

    It is NaN until `EVIDENCE` different values that can show the precision have been seen."""

    __slots__ = ("_decimals", "_seen", "value")

    def __init__(self) -> None:
        self._decimals = 0
        self._seen: set[float] = set()
        self.value = NAN

    def update(self, x: float) -> None:
        if self.value == 0.0:
            return
        decimals = self._decimals
        while round(x, decimals) != x:
            decimals += 1
            if decimals > DECIMALS:
                self.value = 0.0
                return
        if len(self._seen) < EVIDENCE and x * DYADIC % 1.0:
            self._seen.add(x)
        if decimals > self._decimals or (self.value != self.value and len(self._seen) == EVIDENCE):
            self._decimals = decimals
            self.value = 0.5 * 10.0**-decimals if len(self._seen) == EVIDENCE else NAN

    def run(self, values: Sequence[float]) -> list[float]:
        """The half unit after each of the values."""
        found: list[float] = []
        for x in values:
            if self.value == 0.0:
                break
            self.update(x)
            found.append(self.value)
        return found + [0.0] * (len(values) - len(found))
