"""The columns of the log: how many finite values each one has, and their range."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from rldk.core.vocabulary import vocabulary
from rldk.engine.blocks import extremes
from rldk.rules.catalogue.metrics import DERIVED

# columns of rows that the log itself does not have
ADDED = DERIVED | {"step", "segment", "row_interval_s", "train_reward_mean"}


class Extent:
    """The values of one column: `count` finite values, from `low` to `high`."""

    __slots__ = ("count", "high", "low")

    def __init__(self) -> None:
        self.count = 0
        self.low = math.inf
        self.high = -math.inf

    def take(self, count: int, low: float, high: float) -> None:
        self.count += count
        # 0.0 and -0.0 are one number: which of them came first depends on the order of the phases
        self.low = min(self.low, low + 0.0)
        self.high = max(self.high, high + 0.0)


class Census:
    """The extents of all columns over the rows of all phases."""

    __slots__ = ("_extents",)

    def __init__(self) -> None:
        self._extents: dict[str, Extent] = {}

    def take(self, columns: Mapping[str, Sequence[float]], *, finite: bool) -> None:
        """Adds a block of rows. `finite`: all of its values are finite."""
        extents = self._extents
        for name, column in columns.items():
            extent = extents.get(name)
            if extent is None:
                extent = extents[name] = Extent()
            if finite and column:
                extent.take(len(column), *extremes(columns, name))
            elif values := [x for x in column if x - x == 0.0]:
                extent.take(len(values), min(values), max(values))

    def count(self, name: str) -> int:
        """How many finite values the column has."""
        extent = self._extents.get(name)
        return 0 if extent is None else extent.count

    def own(self) -> Iterator[tuple[str, Extent]]:
        """The columns that the log itself has, sorted by name."""
        return ((name, extent) for name, extent in sorted(self._extents.items()) if name not in ADDED)


@cache
def is_unknown(name: str) -> bool:
    """Whether the name is a column of the log that is not a known metric."""
    return name not in ADDED and vocabulary().canonical(name) is None
