"""The numbers of every update, kept as one flat array."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from rldk.core.table import MetricTable

_NAN = math.nan


class History:
    """Rows of numbers under fixed names: 8 bytes each, and a step.

    `fields`: flat name -> path of the attribute it is read from. `spread`: flat name -> (path of a mapping, key)."""

    def __init__(self, fields: Mapping[str, str], spread: Mapping[str, tuple[str, str]]) -> None:
        self.names: tuple[str, ...] = (*fields, *spread)
        self._values: Callable[[Any], Sequence[Any]] = attrgetter(*fields.values())
        self._spread = [(attrgetter(path), key) for path, key in spread.values()]
        self._steps = array("q")
        self._cells = array("d")

    def add(self, step: int, metrics: Any) -> None:
        self._steps.append(step)
        self._cells.extend([_NAN if x is None else x for x in self._values(metrics)])
        for read, key in self._spread:
            found = read(metrics)
            self._cells.append(_NAN if found is None else found[key])

    def table(self) -> MetricTable:
        """A copy of the rows; NaN is missing."""
        n = len(self._steps)
        cells = np.array(self._cells, dtype=np.float64).reshape(n, len(self.names))
        return MetricTable(
            step=np.array(self._steps, dtype=np.int64),
            columns={name: np.ascontiguousarray(cells[:, i]) for i, name in enumerate(self.names)},
            phase=np.zeros(n, dtype=np.uint8),
            segment=np.zeros(n, dtype=np.int32),
            time=np.full(n, np.nan),
        )
