"""The numbers of every update, kept as one flat array."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from rldk.core.table import MetricTable

_NAN = math.nan


class NamedRows:
    """Rows of numbers under fixed names: 8 bytes each, and a step. An unknown number is None."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._steps = array("q")
        self._cells = array("d")

    def add(self, step: int, values: Sequence[Any]) -> None:
        """Takes a row in the order of the names."""
        self._steps.append(step)
        self._cells.extend([_NAN if x is None else x for x in values])

    def table(self) -> MetricTable:
        """A copy of the rows. NaN is missing."""
        n = len(self._steps)
        cells = np.array(self._cells, dtype=np.float64).reshape(n, len(self.names))
        return MetricTable(
            step=np.array(self._steps, dtype=np.int64),
            columns={name: np.ascontiguousarray(cells[:, i]) for i, name in enumerate(self.names)},
            phase=np.zeros(n, dtype=np.uint8),
            segment=np.zeros(n, dtype=np.int32),
            time=np.full(n, np.nan),
        )
