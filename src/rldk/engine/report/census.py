"""What the log says at all: each of its columns, how many finite values it has and between which numbers they lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from rldk.core.vocabulary import vocabulary
from rldk.rules.catalogue.metrics import DERIVED

# what rows carry besides what the log says
ADDED = DERIVED | {"step", "segment", "row_interval_s", "train_reward_mean"}


class Extent:
    """Of one column: `count` finite values, from `low` to `high`."""

    __slots__ = ("count", "high", "low")

    def __init__(self) -> None:
        self.count = 0
        self.low = math.inf
        self.high = -math.inf

    def take(self, values: Sequence[float]) -> None:
        self.count += len(values)
        low, high = min(values), max(values)
        self.low = min(self.low, low)
        self.high = max(self.high, high)


class Census:
    """The extents of all columns, over the rows of all phases."""

    __slots__ = ("_extents",)

    def __init__(self) -> None:
        self._extents: dict[str, Extent] = {}

    def take(self, columns: Mapping[str, Sequence[float]], *, finite: bool) -> None:
        """Takes a block. `finite`: all of its values are."""
        extents = self._extents
        for name, column in columns.items():
            extent = extents.get(name)
            if extent is None:
                extent = extents[name] = Extent()
            values = column if finite else [x for x in column if x - x == 0.0]
            if values:
                extent.take(values)

    def count(self, name: str) -> int:
        """How many finite values the column has."""
        extent = self._extents.get(name)
        return 0 if extent is None else extent.count

    def own(self) -> Iterator[tuple[str, Extent]]:
        """The columns that the log itself has, by name."""
        return ((name, extent) for name, extent in sorted(self._extents.items()) if name not in ADDED)


@cache
def is_unknown(name: str) -> bool:
    """Whether it is a column of the log under a name that no metric has."""
    return name not in ADDED and vocabulary().canonical(name) is None
