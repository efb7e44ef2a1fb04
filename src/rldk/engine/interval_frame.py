"""Shows a rule a range of rows at once; every number is an interval. See `interval`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rldk.engine.blocks import extremes
from rldk.engine.features.window import NAN
from rldk.engine.frame import EngineFrame
from rldk.engine.interval import Branches, Interval
from rldk.engine.memory import Key, Memory
from rldk.rules.rule import Body, Context

Number = float | Interval
STEP = ("step",)  # the key of the rows' steps; keys of features have two parts or more


class IntervalFrame(EngineFrame):
    """Rows start..stop-1 of the present block. All of their values are finite.

    `exact`: features are computed row by row. Otherwise bounds are used where a feature has them."""

    __slots__ = ("_branches", "_exact", "_found", "_intervals", "_start", "_steps", "_stop", "doubt", "required")

    def __init__(self, memory: Memory, context: Context) -> None:
        super().__init__(memory, context)
        self._branches = Branches()
        self._start = self._stop = 0
        self._exact = False
        self._steps: Sequence[int] = ()
        self._found: dict[Any, Number] = {}
        self._intervals: dict[tuple[int, int, bool], dict[Any, Number]] = {}
        self.required: frozenset[str] = frozenset()  # metrics of all rows that the rule is asked about
        self.doubt = False  # a feature is NaN on some rows only, or not all rows take one path

    def begin(self, steps: Sequence[int]) -> None:
        """Starts with a new block, which `show` has shown."""
        self._steps = steps
        self._intervals = {}

    def silent(self, body: Body, start: int, stop: int, *, exact: bool) -> bool:
        """Whether the rule gives no signal on any row of the range. `unready` then says whether it lacked a feature."""
        self._start, self._stop, self._exact = start, stop, exact
        self._found = self._intervals.setdefault((start, stop, exact), {})
        step = self._found.get(STEP)
        if step is None:
            steps = self._steps[start:stop]
            step = self._found[STEP] = self._ends(min(steps), max(steps))
        self.step = step  # type: ignore[assignment]  # rules take it for a number
        self.memory.go(start)
        first = self.memory.rows
        self.rows = self._ends(first, first + stop - start - 1)  # type: ignore[assignment]
        self.unready = self.doubt = False
        silent = self._branches.silent(body, self)
        self.doubt = self.doubt or (self.unready and self._branches.followed > 1)
        return silent

    def _see(self, *key: Any) -> float:
        value = self._found.get(key)
        if value is None:
            value = self._found[key] = self._feature(key)
        return value  # type: ignore[return-value]  # rules take it for a number

    def _ask(self, *key: Any) -> float:
        value: Number = self._see(*key)
        if type(value) is Interval:
            self.doubt = self.doubt or value.gaps
        elif value != value and self.memory.knows(key[1]):
            self.unready = True
        return value  # type: ignore[return-value]  # rules take it for a number

    def __getitem__(self, name: str) -> float:
        key: Any = (name, True) if name in self.memory.ragged and name in self.required else name
        value = self._found.get(key)
        if value is None:
            column = self._columns.get(name)
            if column is None:
                value = NAN
            elif name in self.memory.ragged:
                part = column[self._start : self._stop]
                value = self._over([x for x in part if x == x] or [NAN] if key != name else part)
            elif self._stop - self._start == len(column):
                value = self._ends(*extremes(self._columns, name))
            else:
                value = self._interval_of(column)
            self._found[key] = value
        return value  # type: ignore[return-value]

    def stated(self, name: str) -> bool:
        some = self.memory.ragged.get(name)
        if some is None or name in self.required:
            return super().stated(name)
        there = some.stated[self._stop - 1] - (some.stated[self._start - 1] if self._start else 0)
        if 0 < there < self._stop - self._start:
            return Interval(0.0, 1.0, False, self._branches)  # type: ignore[return-value]  # either
        return there > 0

    def lapses(self, name: str) -> float:
        return self._moving("lapses", name, super().lapses) if name in self.memory.ragged else super().lapses(name)

    def broken(self, name: str) -> float:
        return self._moving("broken", name, super().broken) if name in self.memory.ragged else super().broken(name)

    def gap(self, name: str) -> float:
        return self._moving("gap", name, super().gap)

    def coverage(self, name: str) -> float:
        return self._moving("coverage", name, super().coverage)

    def reference(self, name: str) -> float:
        return self._beside(name, "level")

    def reference_spread(self, name: str) -> float:
        return self._beside(name, "spread")

    def _beside(self, name: str, what: str) -> float:
        """What an approved run had at the steps of the stretch."""
        baseline = self.context.reference
        if baseline is None:
            return NAN
        value = self._found.get((what, name))
        if value is None:
            column = [getattr(baseline, what)(name, step) for step in self._steps[self._start : self._stop]]
            value = self._found[what, name] = self._over(column)
        return value  # type: ignore[return-value]

    def _moving(self, kind: str, name: str, measure: Any) -> float:
        """What changes by each row, in one direction where all rows have the metric or none."""
        if name in self.memory.ragged:
            value = self._found.get((kind, name))
            if value is None:
                column = [float(x) for x in self.memory.by_row(kind, name)[self._start : self._stop]]
                value = self._found[kind, name] = self._over(column)
            return value  # type: ignore[return-value]
        self.memory.go(self._start)
        first = measure(name)
        self.memory.go(self._stop - 1)
        last = measure(name)
        if first != first:
            return NAN
        return self._ends(min(first, last), max(first, last))  # type: ignore[return-value]

    def _feature(self, key: Key) -> Number:
        track, memory = self._items[key], self.memory
        if not (self._exact or track.is_worked_out(memory.serial)):
            bounds = track.bounds(self._start, self._stop)
            if bounds is not None:
                return self._ends(*bounds)
        return self._interval_of(track.at(memory.serial, memory.height))

    def _interval_of(self, column: Sequence[float]) -> Number:
        whole = self._stop - self._start == len(column)
        return self._over(column if whole else column[self._start : self._stop])

    def _over(self, part: Sequence[float]) -> Number:
        if part[0] is part[-1] and part.count(part[0]) == len(part):  # quick, where all are one object
            return part[0]
        total = sum(part)
        if total == total:
            return self._ends(min(part), max(part))
        there = [x for x in part if x == x]
        if not there:
            return NAN
        return Interval(min(there), max(there), len(there) < len(part), self._branches)

    def _ends(self, low: float, high: float) -> Number:
        return low if low == high else Interval(low, high, False, self._branches)
