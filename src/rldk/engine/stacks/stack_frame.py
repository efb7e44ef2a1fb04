"""Shows a rule all rows of several runs at once. Each run is one block, and all have the same metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rldk.engine.column import Cases, Mask, Numbers
from rldk.engine.column_frame import ColumnFrame
from rldk.engine.evaluate import BoundRule
from rldk.engine.features.arrays import FirstValues, Rows
from rldk.engine.features.gains import ARRAYS, HINTS
from rldk.engine.memory import Memory
from rldk.engine.ragged import JoinedRun
from rldk.engine.track import Track
from rldk.rules.rule import Body, Context


class RunCases(Cases):
    """The rows of several runs, filled up to the length of the longest. `real`: those to ask about, of shape (runs,
    rows). `ready_runs` says for each run what `ready` says for one."""

    __slots__ = ("ready_runs", "real")

    def __init__(self, real: Mask) -> None:
        super().__init__(real.size)
        self.real = real
        self.ready_runs: Mask = np.zeros(len(real), dtype=np.bool_)

    def _begin(self) -> Mask:
        super()._begin()
        self.ready_runs = np.zeros(len(self.real), dtype=np.bool_)
        return self.real.ravel()

    def _note_ready(self) -> None:
        if not self.ready_runs.all():
            self.ready_runs |= self._known().reshape(self.real.shape)[:, self.first_known :].any(axis=1)


class PartingOfRuns(BaseException):  # a BaseException, so that no rule catches it as an error of its own
    """Raised when a rule asks for something that differs between the runs. `answers`: a number for each run, equal
    where the answers are."""

    def __init__(self, answers: Rows) -> None:
        self.answers = answers


class StackAnswer(NamedTuple):
    """What came of asking a rule about all runs. `codes`: see `Cases.codes`. `rows`: those that it was asked about;
    both have shape (runs, rows). `ready`: for each run, whether the rule had every input on a row on which it was
    silent."""

    codes: NDArray[np.uint8]
    rows: Mask
    ready: Mask


class StackFrame(ColumnFrame):
    """All rows of the runs, one run after the other."""

    __slots__ = ("_answers", "_contexts", "_group", "_made", "_memories", "_real", "_shape", "_tables")

    def __init__(self, model: Memory, contexts: Sequence[Context], runs: Sequence[JoinedRun]) -> None:
        """`model`: a memory that has taken one of the runs. The contexts may differ in configuration and declared
        steps."""
        super().__init__(model, contexts[0])
        heights = np.array([len(run.block.steps) for run in runs])
        self._contexts = contexts
        self._group: Rows = np.arange(len(runs))  # the runs that are asked about
        self._answers: dict[Any, Rows] = {}
        self._memories: Sequence[Memory] = ()
        self._made: dict[Any, Numbers] = {}
        self._shape = len(runs), int(heights.max())
        self._real: Mask = np.arange(self._shape[1]) < heights[:, None]
        self._cases = RunCases(self._real)
        self._steps = range(self._shape[1])
        names = runs[0].block.columns
        self._tables = {name: _filled([run.compact[name] for run in runs]) for name in names}
        self._columns = {
            name: _filled([run.block.columns[name] for run in runs]).ravel()  # type: ignore[misc]
            for name in names
        }
        self.step = self._number_of_rows(_filled([run.block.steps for run in runs]).ravel())
        self.rows = self._number_of_rows(np.tile(np.arange(1.0, self._shape[1] + 1.0), len(runs)))

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

    def ask(self, bound: BoundRule, code_of: Callable[[Any], int]) -> StackAnswer:
        """Asks a rule about all rows that have the metrics without which it is not asked. Runs that give the rule
        different answers about themselves are asked one group after the other."""
        rows = self._rows_for(bound)
        codes, ready = np.zeros(self._shape, dtype=np.uint8), np.zeros(len(rows), dtype=np.bool_)
        groups = [np.arange(len(rows))]
        while groups:
            self._group = groups.pop()
            if len(self._group) == len(rows):
                real = rows
            else:
                real = np.zeros(self._shape, dtype=np.bool_)
                real[self._group] = rows[self._group]
            try:
                cases = self._ask_about(real, bound)
            except PartingOfRuns as parting:
                own = parting.answers[self._group]
                groups += [self._group[own == answer] for answer in np.unique(own)]
                continue
            codes |= cases.codes(code_of).reshape(self._shape)
            ready |= cases.ready_runs
        return StackAnswer(codes, rows, ready)

    def _ask_about(self, real: Mask, bound: BoundRule) -> RunCases:
        cases = self._cases
        assert isinstance(cases, RunCases)  # noqa: S101 - made above; the slot has the type of the parent
        cases.real = real
        self.follow(bound.body, bound.metric)
        return cases

    def config(self, *keys: str) -> Any:
        self._part(keys, lambda context: next((v for k in keys if (v := context.config.get(k)) is not None), None))
        return super().config(*keys)

    def progress(self) -> float:
        self._part((), lambda context: context.total_steps)
        return super().progress()

    def _part(self, key: Any, answer: Callable[[Context], Any]) -> None:
        """Goes on for runs that have the same answer only, and shows the context of one of them."""
        known = self._answers.get(key)
        if known is None:
            numbers: dict[Any, int] = {}
            found = [identity(answer(context)) for context in self._contexts]
            known = self._answers[key] = np.array([numbers.setdefault(each, len(numbers)) for each in found])
        first = self._group[0]
        if (known[self._group] != known[first]).any():
            raise PartingOfRuns(known)
        self.context = self._contexts[first]

    def _rows_for(self, bound: BoundRule) -> Mask:  # noqa: ARG002 - every row has every metric
        """The rows on which the rule is asked."""
        return self._real

    def follow(self, body: Body, metric: str, rows: Mask | None = None) -> Cases:
        cases = super().follow(body, metric, rows)
        self.memory.go(self.memory.height - 1)
        return cases

    def _spread(self, metric: str, track: Track, made: Numbers) -> Numbers:  # noqa: ARG002 - each row has a value
        """The values at all rows, from those after each value of the metric."""
        return made

    def _line(self, metric: str, track: Track) -> FirstValues | None:  # noqa: ARG002 - as of one run
        line = self._lines.get(metric)
        if line is None:
            line = self._lines[metric] = FirstValues(self._tables[metric])
        return line if line.is_plain else None

    def _values(self, key: Any, track: Track) -> Numbers:
        made = self._at_once(key, track)
        if made is not None:
            return made.ravel()
        tracks = [memory.items[key] for memory in self._memories]
        hints = self._hints(key, track)
        if hints is not None:
            found = [
                own.work_out(memory.serial, [row for row in hint if row < len(own.history.values)])
                for memory, own, hint in zip(self._memories, tracks, hints, strict=True)
            ]
        else:
            found = [own.at(memory.serial, memory.height) for memory, own in zip(self._memories, tracks, strict=True)]
        return _filled(found).ravel()

    def _at_once(self, key: Any, track: Track) -> Numbers | None:
        kind, metric, *parameters = key
        line = self._line(metric, track) if kind in ARRAYS else None
        made = ARRAYS[kind](line, *parameters) if line is not None else None
        if made is not None:
            made = self._made[key] = self._spread(metric, track, made)
        return made

    def _hints(self, key: Any, track: Track) -> list[list[int]] | None:
        kind, metric, *parameters = key
        line = self._line(metric, track) if kind in HINTS else None
        return None if line is None else HINTS[kind](line, *parameters)


def _filled(lines: Sequence[Sequence[float]]) -> Numbers:
    """The values of each run, with the last one repeated at the end."""
    longest = max(map(len, lines))
    return np.array([[*line, *[line[-1]] * (longest - len(line))] for line in lines], dtype=np.float64)


def identity(value: Any) -> Any:
    """A key that two values have in common only if no rule can tell them apart."""
    if value is None or isinstance(value, bool | int | float | str):
        return type(value), repr(value)
    if isinstance(value, list | tuple):
        return type(value), tuple(map(identity, value))
    if isinstance(value, dict):
        return dict, tuple((identity(key), identity(each)) for key, each in value.items())
    return type(value), id(value)
