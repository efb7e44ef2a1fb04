"""Shows a rule all rows of a block at once; every number is a column. See `column`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rldk.engine.column import Cases, Column, Numbers
from rldk.engine.features.window import NAN
from rldk.engine.frame import EngineFrame
from rldk.engine.memory import Memory
from rldk.rules.rule import Body, Context


class ColumnFrame(EngineFrame):
    """All rows of the present block. All of their values are finite."""

    __slots__ = ("_cases", "_found", "_steps")

    def __init__(self, memory: Memory, context: Context) -> None:
        super().__init__(memory, context)
        self._cases = Cases(0)
        self._steps: Sequence[int] = ()
        # answers already given for this block: a number that all rows share, or a column and where it is missing
        self._found: dict[Any, float | tuple[Numbers, Any]] = {}

    def begin(self, steps: Sequence[int]) -> None:
        """Starts with a new block, which `show` has shown."""
        self._steps = steps
        self._found = {}

    def follow(self, body: Body, metric: str) -> Cases:
        """Finds the rows of the block on which the body may give a signal."""
        self.metric, self.unready = metric, False
        height = len(self._steps)
        cases = self._cases = Cases(height)
        self.step = Column(self._numbers("steps", self._steps), cases)  # type: ignore[assignment]  # rules take it for a number
        self.rows = Column(self._numbers("rows", self._counts()), cases)  # type: ignore[assignment]
        self.memory.go(height - 1)
        with np.errstate(all="ignore"):
            cases.follow(body, self)
        return cases

    def _counts(self) -> range:
        return range(self.memory.start + 1, self.memory.start + len(self._steps) + 1)

    def _numbers(self, key: Any, values: Sequence[float]) -> Numbers:
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = (np.array(values, dtype=np.float64), None)
        return found[0]  # type: ignore[index]

    def _column(self, key: Any, values: Sequence[float]) -> float | tuple[Numbers, Any]:
        """Stores the values: as one number where all rows share it, else as a column."""
        first = values[0]
        if first == values[-1] and values.count(first) == len(values):
            found: float | tuple[Numbers, Any] = first
        else:
            numbers = np.array(values, dtype=np.float64)
            missing = np.isnan(numbers)
            every = missing.all()
            found = NAN if every else (numbers, missing if missing.any() else None)
        self._found[key] = found
        return found

    def _look_up(self, key: Any) -> float | tuple[Numbers, Any]:
        found = self._found.get(key)
        if found is None:
            found = self._column(key, self._items[key].at(self.memory.serial, self.memory.height))
        return found

    def _see(self, *key: Any) -> float:
        found = self._look_up(key)
        return Column(found[0], self._cases) if type(found) is tuple else found  # type: ignore[return-value]

    def _ask(self, *key: Any) -> float:
        found = self._look_up(key)
        if type(found) is tuple:
            numbers, missing = found
            if missing is not None:
                self._cases.lack(missing)
            return Column(numbers, self._cases)  # type: ignore[return-value]  # rules take it for a number
        if found != found and self.memory.knows(key[1]):
            self._cases.lack(None)
        return found  # type: ignore[return-value]

    def last(self, name: str) -> float:
        found = self._look_up(("last", name))
        if type(found) is not tuple and found != found:
            self._cases.lack(None)
        return self._ask("last", name)

    def __getitem__(self, name: str) -> float:
        found = self._found.get(name)
        if found is None:
            column = self._columns.get(name)
            if column is None:
                return NAN
            found = self._column(name, column)
        return Column(found[0], self._cases) if type(found) is tuple else found  # type: ignore[return-value]

    def gap(self, name: str) -> float:
        return self._moving(("gap", name), super().gap, name)

    def coverage(self, name: str) -> float:
        return self._moving(("coverage", name), super().coverage, name)

    def reference(self, name: str) -> float:
        return self._beside(name, "level")

    def reference_spread(self, name: str) -> float:
        return self._beside(name, "spread")

    def _beside(self, name: str, what: str) -> float:
        """The value that an approved run had at each step of the block."""
        baseline = self.context.reference
        if baseline is None:
            return NAN
        if (what, name) not in self._found:
            self._column((what, name), [getattr(baseline, what)(name, step) for step in self._steps])
        return self._see(what, name)

    def _moving(self, key: Any, measure: Any, name: str) -> float:
        """A measure that depends only on the number of rows so far."""
        if key not in self._found:
            values = []
            for row in range(len(self._steps)):
                self.memory.go(row)
                values.append(measure(name))
            self._column(key, values)
        return self._see(*key)
