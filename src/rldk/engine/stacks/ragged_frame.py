"""Shows a rule rows, some of which lack metrics (see `ragged`): the rows of several runs at once, or of one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.engine.column import Column, Mask, Numbers
from rldk.engine.column_frame import Answer
from rldk.engine.evaluate import BoundRule
from rldk.engine.features.arrays import NEEDS
from rldk.engine.features.window import NAN, Feature
from rldk.engine.memory import Found, Key, Memory
from rldk.engine.ragged import JoinedRun, Ragged
from rldk.engine.stacks.stack_frame import StackFrame
from rldk.engine.track import Track
from rldk.rules.rule import Context

Late = Mapping[Key, str]  # features that begin where the run meets a metric, which is not their own


class RaggedMemory(Memory):
    """The memory of a run that is one block, some of whose rows lack some metrics."""

    __slots__ = ("_late", "_own")

    def __init__(self, makers: Mapping[str, Callable[..., Feature]], ragged: Mapping[str, Ragged], late: Late) -> None:
        super().__init__(makers)
        self._own = ragged
        self._late = late

    def feature(self, key: Key) -> Track:
        is_new = key not in self._items
        made = super().feature(key)
        if is_new and key in self._late:
            row = self._own[self._late[key]].first
            own = self._own.get(key[1])
            made.skip(row if own is None else own.counts[row - 1] if row else 0)
        return made


class RaggedFrame(StackFrame):
    """All rows of the runs, one run after the other. In each of them, rows may lack some of the metrics."""

    __slots__ = ("_counts", "_finite", "_known", "_late", "_ragged", "_stated")

    def __init__(self, model: Memory, contexts: Sequence[Context], runs: Sequence[JoinedRun], late: Late) -> None:
        super().__init__(model, contexts, runs)
        self._late = late
        names = dict.fromkeys(name for run in runs for name in run.ragged)
        self._ragged = {name: [run.ragged.get(name) for run in runs] for name in names}
        self._counts = {name: self._counted(name, lambda some: some.counts) for name in names}
        self._stated = {name: self._counted(name, lambda some: some.stated) for name in names}
        self._known: dict[str, Mask] = {name: (stated > 0).ravel() for name, stated in self._stated.items()}
        self._finite = {name: np.diff(counts, prepend=0) > 0 for name, counts in self._counts.items()}

    def close(self) -> None:
        super().close()
        self._counts, self._stated, self._known, self._finite = {}, {}, {}, {}

    def _has_gaps(self, name: str) -> bool:
        return name in self._counts

    def last(self, name: str) -> float:
        counts = self._counts.get(name)
        if counts is None:
            return super().last(name)
        self._cases.lack((counts == 0).ravel())
        return self._see("last", name)

    def _ask(self, *key: Any) -> float:
        known = self._known.get(key[1])
        if known is None:
            return super()._ask(*key)
        found = self._found.get(key)
        if found is None:
            found = self._look_up(key)
        if type(found) is tuple:
            column, missing, _ = found
            if missing is not None:
                self._cases.lack(missing)
            return column  # type: ignore[return-value]  # rules take it for a number
        if found != found:
            self._cases.lack(known)
        return found  # type: ignore[return-value]

    def _look_up(self, key: Any) -> Answer:
        found = super()._look_up(key)
        known = self._known.get(key[1])
        if known is not None and type(found) is tuple and found[1] is not None:
            # on rows before the first value, a missing feature is no missing input
            found = self._found[key] = found[0], found[1] & known, 0
        return found

    def _at_once(self, key: Any, track: Track) -> Numbers | None:
        return None if key in self._late else super()._at_once(key, track)

    def _hints(self, key: Any, track: Track) -> list[list[int]] | None:
        return None if key in self._late else super()._hints(key, track)

    def _later(self, key: Any, track: Track) -> Answer | None:
        if key in self._late:
            return None
        counts = self._counts.get(key[1])
        if counts is None:
            return super()._later(key, track)
        needs = NEEDS.get(key[0])
        if needs is None or self._line(key[1], track) is None:
            return None
        missing = (counts < needs(*key[2:])).ravel()
        if missing.all():
            return NAN
        make = partial(self._values, key, track)
        return Column.later(lambda: np.asarray(make(), dtype=np.float64), self._cases), missing, 0

    def _rows_for(self, bound: BoundRule) -> Mask:
        rows = super()._rows_for(bound)
        for name in bound.required & self._counts.keys():
            rows = rows & (np.diff(self._stated[name], prepend=0) > 0 if bound.rule.nonfinite else self._finite[name])
        if bound.rule.each and bound.metric in self._stated:  # the rule is met where the metric is
            rows = rows & (self._stated[bound.metric] > 0)
        return rows

    def _spread(self, metric: str, track: Track, made: Numbers) -> Numbers:
        counts = self._counts.get(metric)
        if counts is None:
            return made
        return np.take_along_axis(np.insert(made, 0, track.before(), axis=1), counts, axis=1)

    def _of_memory(self, kind: str, name: str) -> Numbers:
        stated = self._stated[name]
        there = np.diff(stated, prepend=0) > 0
        rows = np.arange(stated.shape[1], dtype=np.float64)
        match kind:
            case "stated":
                return there.astype(np.float64)
            case "gap":
                found = rows - np.maximum.accumulate(np.where(there, rows, 0.0), axis=1)
            case "coverage":
                found = stated / (rows + 1.0 - there.argmax(axis=1)[:, None])
            case _:
                which = ("lapses", "broken").index(kind)
                return np.asarray(self._counted(name, lambda some: some.lapses(0, 0)[which], 0), dtype=np.float64)
        return np.where(stated > 0, found, NAN)

    def _counted(self, name: str, counts: Callable[[Ragged], Sequence[int]], each: int = 1) -> NDArray[np.int64]:
        """Counts at all rows, of shape (runs, rows). `each`: what each row adds in a run whose rows all have it."""
        made = np.zeros(self._shape, dtype=np.int64)
        for at, some in enumerate(self._ragged[name]):
            n = int(self._real[at].sum())
            made[at, :n] = each * np.arange(1, n + 1) if some is None else counts(some)
            made[at, n:] = made[at, n - 1]
        return made


def memory_of(model: Memory, run: JoinedRun, found: Found, late: Late) -> Memory:
    """The memory of a run with the features of the model, before its rows."""
    copy = RaggedMemory(model.makers, run.ragged, late) if run.ragged else Memory(model.makers)
    return model.copy_into(copy, run.block.columns, found)
