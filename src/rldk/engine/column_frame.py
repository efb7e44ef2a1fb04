"""Shows a rule all rows of a block at once; every number is a column. See `column`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rldk.engine.column import Cases, Column, Mask, Numbers, holds_everywhere, holds_somewhere
from rldk.engine.features.arrays import NEEDS, FirstValues
from rldk.engine.features.gains import ARRAYS, HINTS
from rldk.engine.features.window import NAN
from rldk.engine.frame import EngineFrame
from rldk.engine.memory import Memory
from rldk.engine.track import Track
from rldk.rules.rule import Body, Context

# a number that all rows share, or a column with the rows on which it is missing (None: on none after the first so many)
Answer = float | tuple[Column, Mask | None, int]


class ColumnFrame(EngineFrame):
    """All rows of the present block. All of their values are finite."""

    __slots__ = ("_cases", "_found", "_lines", "_steps")

    def __init__(self, memory: Memory, context: Context) -> None:
        super().__init__(memory, context)
        self._cases = Cases(0)
        self._steps: Sequence[int] = ()
        self._found: dict[Any, Answer] = {}  # answers already given for this block
        self._lines: dict[str, FirstValues] = {}

    def begin(self, steps: Sequence[int]) -> None:
        """Starts with a new block, which `show` has shown."""
        self._steps = steps
        self._found = {}
        self._lines = {}
        self._cases = Cases(len(steps))
        first = self.memory.start + 1
        self.step = self._number_of_rows(steps)
        self.rows = self._number_of_rows(range(first, first + len(steps)))

    def follow(self, body: Body, metric: str, rows: Mask | None = None) -> Cases:
        """Finds the rows of the block on which the body may give a signal. The next call changes what it returned.
        `rows`: those to ask about, if not all."""
        self.metric, self.unready = metric, False
        self._cases.rows = rows
        self.memory.go(len(self._steps) - 1)
        with np.errstate(all="ignore"):
            self._cases.follow(body, self)
        return self._cases

    def _number_of_rows(self, values: Sequence[int] | Numbers) -> int:
        return Column.later(lambda: np.array(values, dtype=np.float64), self._cases)  # type: ignore[return-value]  # rules take it for a number

    def _column(self, key: Any, values: Sequence[float] | Numbers) -> Answer:
        """Stores the values: as one number where all rows share it, else as a column."""
        numbers = np.asarray(values, dtype=np.float64)
        first = float(values[0])
        found: Answer
        if first == values[-1] and holds_everywhere(numbers == first):
            found = first
        else:
            missing = np.isnan(numbers)
            absent = missing if holds_somewhere(missing) else None
            found = NAN if holds_everywhere(missing) else (Column(numbers, self._cases), absent, 0)
        self._found[key] = found
        return found

    def _look_up(self, key: Any) -> Answer:
        found = self._found.get(key)
        if found is None:
            track = self._items[key]
            if not track.history.fresh:
                found = self._found[key] = track.resting()
                return found
            found = self._later(key, track)
            if found is None:
                return self._column(key, self._values(key, track))
            self._found[key] = found
        return found

    def _values(self, key: Any, track: Track) -> Sequence[float] | Numbers:
        numbers = self._at_once(key, track)
        if numbers is not None:
            return numbers
        find = HINTS.get(key[0])
        line = self._line(key[1], track) if find is not None else None
        if find is not None and line is not None:
            return track.work_out(self.memory.serial, find(line, *key[2:])[0])
        return track.at(self.memory.serial, self.memory.height)

    def _at_once(self, key: Any, track: Track) -> Numbers | None:
        """The feature over the first block that has its metric, if numpy can say it."""
        kind, metric, *parameters = key
        make = ARRAYS.get(kind)
        line = self._line(metric, track) if make is not None else None
        made = make(line, *parameters) if make is not None and line is not None else None
        if made is None:
            return None
        numbers: Numbers = made[0]
        track.give(self.memory.serial, numbers.tolist)
        return numbers

    def _line(self, metric: str, track: Track) -> FirstValues | None:
        """The values of the metric, if the block is the first that has them and numpy gives the same bits for them."""
        values = track.first_values()
        if values is None or len(values) != len(self._steps):
            return None
        line = self._lines.get(metric)
        if line is None:
            line = self._lines[metric] = FirstValues(values)
        return line if line.is_plain else None

    def _later(self, key: Any, track: Track) -> Answer | None:
        """A column that need not be worked out yet, because the rows on which it is missing are known already. Many a
        rule asks for and never uses."""
        needs = NEEDS.get(key[0])
        if needs is None or self._line(key[1], track) is None:
            return None
        unknown = needs(*key[2:]) - 1
        if unknown >= len(self._steps):
            return NAN
        make = partial(self._values, key, track)
        return Column.later(lambda: np.asarray(make(), dtype=np.float64), self._cases), None, unknown

    def _see(self, *key: Any) -> float:
        found = self._found.get(key)
        if found is None:
            found = self._look_up(key)
        return found[0] if type(found) is tuple else found  # type: ignore[return-value]

    def _ask(self, *key: Any) -> float:
        found = self._found.get(key)
        if found is None:
            found = self._look_up(key)
        if type(found) is tuple:
            column, missing, unknown = found
            if missing is not None:
                self._cases.lack(missing)
            elif unknown > self._cases.first_known:
                self._cases.first_known = unknown
            return column  # type: ignore[return-value]  # rules take it for a number
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
        return found[0] if type(found) is tuple else found  # type: ignore[return-value]

    def stated(self, name: str) -> bool:
        if not self._has_gaps(name):
            return super().stated(name)
        return Column(self._of_memory("stated", name).ravel(), self._cases)  # type: ignore[return-value]  # true where it is not 0

    def gap(self, name: str) -> float:
        if self._has_gaps(name):
            return self._by_row("gap", name)
        last = self.memory.gap(name)  # at the last row, where `follow` has moved to
        if not last > 0:  # no rows without it, or only such rows
            return last
        return self._moving(("gap", name), lambda rows: last - (len(self._steps) - 1) + rows)

    def lapses(self, name: str) -> float:
        return self._by_row("lapses", name) if self._has_gaps(name) else super().lapses(name)

    def broken(self, name: str) -> float:
        return self._by_row("broken", name) if self._has_gaps(name) else super().broken(name)

    def coverage(self, name: str) -> float:
        if self._has_gaps(name):
            return self._by_row("coverage", name)
        now, later = self._ends(super().coverage, name)
        if now == later or now != now:
            return now
        present, known, here = self.memory.presence(name)
        return self._moving(("coverage", name), lambda rows: (present + here * rows) / (known + rows))

    def _has_gaps(self, name: str) -> bool:
        """Whether some rows lack the metric, or have a value of it that is not finite."""
        return name in self.memory.ragged

    def _by_row(self, kind: str, name: str) -> float:
        """What the memory says of a metric with gaps on each row."""
        if (kind, name) not in self._found:
            self._column((kind, name), self._of_memory(kind, name).ravel())
        return self._see(kind, name)

    def _of_memory(self, kind: str, name: str) -> Numbers:
        """The measure `kind` of the memory on all rows, or 1.0 where they have the metric."""
        if kind == "stated":
            return self.memory.ragged[name].rows(nonfinite=True).astype(np.float64)
        return np.asarray(self.memory.by_row(kind, name), dtype=np.float64)

    def _ends(self, measure: Callable[[str], float], name: str) -> tuple[float, float]:
        """A measure that depends only on the number of rows so far, and never turns: at the first row and the last."""
        self.memory.go(0)
        first = measure(name)
        self.memory.go(len(self._steps) - 1)
        return first, measure(name)

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

    def _moving(self, key: Any, values: Callable[[Numbers], Numbers]) -> float:
        """The column of such a measure, as a function of the rows after the first."""
        if key not in self._found:
            self._column(key, values(np.arange(float(len(self._steps)))))
        return self._see(*key)
