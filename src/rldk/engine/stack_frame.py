"""Shows a rule all rows of several runs at once. Each run is one block, and all have the same metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.engine.blocks import Block
from rldk.engine.column import Cases, Mask, Numbers
from rldk.engine.column_frame import ColumnFrame
from rldk.engine.features.arrays import FirstValues
from rldk.engine.features.gains import ARRAYS, HINTS
from rldk.engine.memory import Memory
from rldk.engine.track import Track
from rldk.rules.rule import Body, Context


class RunCases(Cases):
    """The rows of several runs, filled up to the length of the longest. `real`: those that are rows of a run, of shape
    (runs, rows). `ready_runs` says for each run what `ready` says for one."""

    __slots__ = ("_real", "ready_runs")

    def __init__(self, real: Mask) -> None:
        super().__init__(real.size)
        self._real = real
        self.ready_runs: Mask = np.zeros(len(real), dtype=np.bool_)

    def _begin(self) -> Mask:
        super()._begin()
        self.ready_runs = np.zeros(len(self._real), dtype=np.bool_)
        return self._real.ravel()

    def _note_ready(self) -> None:
        if not self.ready_runs.all():
            self.ready_runs |= self._known().reshape(self._real.shape)[:, self.first_known :].any(axis=1)


class StackFrame(ColumnFrame):
    """All rows of the runs, one run after the other."""

    __slots__ = ("_made", "_memories", "_shape", "_tables")

    def __init__(self, model: Memory, context: Context, blocks: Sequence[Block]) -> None:
        """`model`: a memory that has taken one of the blocks."""
        super().__init__(model, context)
        heights = np.array([len(block.steps) for block in blocks])
        self._memories: Sequence[Memory] = ()
        self._made: dict[Any, Numbers] = {}
        self._shape = len(blocks), int(heights.max())
        self._cases = RunCases(np.arange(self._shape[1]) < heights[:, None])
        self._steps = range(self._shape[1])
        self._tables = {name: self._filled([block.columns[name] for block in blocks]) for name in blocks[0].columns}
        self._columns = {name: table.ravel() for name, table in self._tables.items()}  # type: ignore[misc]
        self.step = self._number_of_rows(self._filled([block.steps for block in blocks]).ravel())
        self.rows = self._number_of_rows(np.tile(np.arange(1.0, self._shape[1] + 1.0), len(blocks)))

    def look_into(self, memories: Sequence[Memory]) -> None:
        """Sets the memories of the runs, for features that each run has to work out alone."""
        self._memories = memories

    def values_of(self, run: int, key: Any) -> list[float] | None:
        """The feature at the rows of one run, if it has been worked out for all of them."""
        made = self._made.get(key)
        if made is None:
            return None
        listed: list[float] = made[run, : self._memories[run].height].tolist()
        return listed

    def close(self) -> None:
        """Lets go of all arrays. They refer to each other in circles, which are otherwise freed late."""
        self._made, self._memories, self._found, self._lines = {}, (), {}, {}
        self._tables, self._columns = {}, {}

    @property
    def ready(self) -> Mask:
        """For each run, whether the rule had every input on a row on which it was silent."""
        cases = self._cases
        return cases.ready_runs if isinstance(cases, RunCases) else np.zeros(0, dtype=np.bool_)

    def by_run(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The numbers of all rows, of shape (runs, rows)."""
        return codes.reshape(self._shape)

    def follow(self, body: Body, metric: str) -> Cases:
        cases = super().follow(body, metric)
        self.memory.go(self.memory.height - 1)
        return cases

    def _filled(self, lines: Sequence[Sequence[float]]) -> Numbers:
        """The values of each run, with the last one repeated at the end."""
        longest = self._shape[1]
        return np.array([[*line, *[line[-1]] * (longest - len(line))] for line in lines], dtype=np.float64)

    def _line(self, metric: str, track: Track) -> FirstValues | None:  # noqa: ARG002 - as of one run
        line = self._lines.get(metric)
        if line is None:
            line = self._lines[metric] = FirstValues(self._tables[metric])
        return line if line.is_plain else None

    def _values(self, key: Any, track: Track) -> Numbers:
        kind, metric, *parameters = key
        line = self._line(metric, track)
        made = ARRAYS[kind](line, *parameters) if line is not None and kind in ARRAYS else None
        if made is not None:
            self._made[key] = made
            return made.ravel()
        tracks = [memory.items[key] for memory in self._memories]
        if line is not None and kind in HINTS:
            hints = HINTS[kind](line, *parameters)
            found = [
                own.work_out(memory.serial, [row for row in hint if row < memory.height])
                for memory, own, hint in zip(self._memories, tracks, hints, strict=True)
            ]
        else:
            found = [own.at(memory.serial, memory.height) for memory, own in zip(self._memories, tracks, strict=True)]
        return self._filled(found).ravel()
