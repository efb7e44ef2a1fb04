"""The memory of a run: the values of each metric, and the features made from them, block by block."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import proxy

from rldk.engine.blocks import Columns
from rldk.engine.features.window import NAN, Feature
from rldk.engine.track import History, Track

if TYPE_CHECKING:
    from rldk.engine.ragged import Ragged

Key = tuple[Any, ...]
KEPT_VALUES = 200_000  # of all metrics together, beyond those that windows need
LEAST_KEPT, MOST_KEPT = 64, 2048  # of one metric
Found = Callable[[Key], "list[float] | None"]
_NONE: Mapping[str, Any] = {}


class _Promised(dict[Key, Track]):
    """Features that are made when somebody first asks for them."""

    __slots__ = ("_memory",)

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = proxy(memory)  # otherwise the two would hold each other

    def __missing__(self, key: Key) -> Track:
        made: Track = self._memory.feature(key)
        return made


class Memory:
    """The features of one phase of one run, by metric. New ones are added while rules are bound.

    Most blocks have the metrics of the block before. `_settle` brings the counts of each metric up to date once a block
    with other metrics comes."""

    __slots__ = (
        "__weakref__",
        "_before", "_behind", "_first_seen", "_found", "_histories", "_items", "_kept", "_kinds", "_lapses",
        "_lapsing", "_last_seen", "_lasting", "_makers", "_plan", "_present", "_repeats", "_shape", "height", "ragged",
        "rows", "serial",
    )  # fmt: skip

    def __init__(self, makers: Mapping[str, Callable[..., Feature]]) -> None:
        self._makers = makers
        self._items: dict[Key, Track] = {}
        self._found: Found | None = None
        self._kinds: dict[str, list[tuple[str, Track]]] = {}
        self._histories: dict[str, History] = {}
        self._lasting: set[str] = set()  # metrics whose past values are kept
        self._first_seen: dict[str, int] = {}
        self._last_seen: dict[str, int] = {}
        self._present: dict[str, int] = {}
        # rows on which a metric was not finite: those before the present run of such rows, and those in it
        self._lapses: dict[str, tuple[int, int]] = {}
        self._lapsing: dict[str, tuple[list[int], list[int]]] = {}  # the same on each row, of ragged metrics
        self._shape: frozenset[str] = frozenset()
        self._repeats = 0  # rows with the present metrics that are not yet in `_last_seen` and `_present`
        self._before = (0, 0)  # rows and repeats before the present block
        self._plan: list[tuple[str, History]] | None = None
        self._kept = MOST_KEPT
        self.ragged: Mapping[str, Ragged] = _NONE  # the metrics that some rows of the present block lack
        self._behind = False  # some features have not taken all blocks before this one
        self.rows = 0  # up to the row of the block that is being checked
        self.height = 0  # rows of the present block
        self.serial = 0  # number of the present block

    @property
    def items(self) -> Mapping[Key, Track]:
        return self._items

    def feature(self, key: Key) -> Track:
        """The feature of (kind, metric, parameters ...). It is made on the first request."""
        found = self._items.get(key)
        if found is None:
            kind, metric, *parameters = key
            history = self._histories.get(metric)
            if history is None:
                history = self._histories[metric] = History()
            found = self._items[key] = Track(history, self._makers[kind], tuple(parameters))
            history.add(found)
            if self._found is not None:
                found.start_over(self.serial, self._found(key))
            self._kinds.setdefault(kind, []).append((metric, found))
            if self._found is None:
                self._kept = min(MOST_KEPT, max(LEAST_KEPT, KEPT_VALUES // len(self._histories)))
            self._plan = None
        return found

    @property
    def makers(self) -> Mapping[str, Callable[..., Feature]]:
        return self._makers

    def copy_into(self, other: Memory, names: Iterable[str], found: Found) -> Memory:
        """Gives a memory without rows the same features, for a run that is one block with these metrics.

        `found` gives what is known already of a feature's values at the rows of the block. Features are made when they
        are first asked for, which may be after the block."""
        other._items, other._found, other._lasting = _Promised(other), found, self._lasting
        for name in names:
            history = self._histories.get(name)
            if history is not None:
                own = other._histories[name] = History()
                own.reach = history.reach
        for key in [key for key in self._items if key[0] == "leap" and key[1] in other._histories]:
            other.feature(key)
        other._kept = sys.maxsize
        return other

    def keep(self, metric: str, values: int) -> None:
        """Keeps so many past values of the metric. Call it before the first value."""
        history = self._histories.setdefault(metric, History())
        history.reach = max(history.reach, values)
        self._lasting.add(metric)
        self._plan = None

    def tail(self, metric: str, row: int, values: int) -> list[float]:
        """The newest finite values of a metric, up to a row of the present block. Empty for a metric that is not
        kept."""
        if metric not in self._lasting:
            return []
        history = self._histories[metric]
        some = self.ragged.get(metric)
        own = row + 1 if some is None else some.counts[row]
        end = len(history.values) - history.fresh + (own if history.fresh else 0)
        return history.values[max(0, end - values) : end]

    def of_kind(self, kind: str) -> list[tuple[str, Track]]:
        """The features of that kind, by metric."""
        return self._kinds.get(kind, [])

    def value(self, key: Key, row: int) -> float:
        """The feature at a row of the present block."""
        return self.feature(key).at(self.serial, self.height)[row]

    def latest(self, key: Key) -> float:
        """The feature at the last row, whatever block that was in."""
        return self.value(key, -1) if self.height else NAN

    @property
    def start(self) -> int:
        """Rows before the present block."""
        return self._before[0]

    def has_only(self, names: Mapping[str, object]) -> bool:
        """Whether each row of the last block had exactly these metrics, all of them finite or in a block of one row."""
        return not self.ragged and names.keys() == self._shape

    def take(
        self,
        columns: Mapping[str, Sequence[float]],
        height: int,
        *,
        finite: bool,
        ragged: Mapping[str, Ragged] = _NONE,
    ) -> None:
        """Takes a block of rows. `finite`: all of its values are finite. Otherwise the block is a single row. `ragged`:
        the metrics that some of its rows lack, or on which they are not finite."""
        if ragged or not self.has_only(columns):
            self._settle(columns, ragged)
        self.serial += 1
        self.height = height
        self._before = self.rows, self._repeats
        self.go(height - 1)
        if self._lapses or not finite:
            self._lapse(columns)
        plan = self._plan
        if plan is None:
            known = self._histories
            plan = self._plan = [(name, known[name]) for name in columns if name in known]
        if height > 1:
            self._behind = True
            extremes = columns.extremes if type(columns) is Columns else None
            for name, history in plan:
                some = ragged.get(name)
                if some is not None:
                    history.take(some.values, None)
                    history.counts = some.counts
                else:
                    history.take(columns[name], extremes(name) if extremes else None)
            return
        if self._behind:
            self._behind = False
            for track in self._items.values():
                track.follow()
        for name, history in plan:
            x = columns[name][0]
            if finite or x - x == 0.0:
                history.push(x)

    def end(self) -> None:
        """Ends the present block. Features made from now on begin after it."""
        for _, history in self._plan or ():
            if len(history.values) > self._kept:
                history.settle(self._kept)
            history.fresh, history.counts = 0, None

    def rebase(self) -> None:
        """Tells the features that remember a course that another one begins, because the run was restarted."""
        for track in self._items.values():
            track.rebase()

    def go(self, row: int) -> None:
        """Moves to a row of the present block."""
        rows, repeats = self._before
        self.rows, self._repeats = rows + row + 1, repeats + row + 1

    def has(self, name: str) -> bool:
        """Whether the row has a metric of the present block."""
        some = self.ragged.get(name)
        return some is None or some.is_stated(self._row)

    def knows(self, name: str) -> bool:
        """Whether this row or one before it had the metric."""
        first = self._first_seen.get(name)
        return first is not None and first <= self.rows

    def gap(self, name: str) -> float:
        if name in self._shape:
            return 0.0
        some = self.ragged.get(name)
        if some is not None and some.stated[self._row]:
            return float(self._row - some.last(self._row))
        last = self._last_seen.get(name)
        return NAN if last is None else float(self.rows - last)

    def lapses(self, name: str) -> float:
        rows = self.lapses_by_row(name)
        return float(self._lapses.get(name, (0, 0))[0] if rows is None else rows[0][self._row])

    def broken(self, name: str) -> float:
        """Rows in a row, up to this one, on which the source stated the metric and it was no finite number."""
        rows = self.lapses_by_row(name)
        return float(self._lapses.get(name, (0, 0))[1] if rows is None else rows[1][self._row])

    def lapses_by_row(self, name: str) -> tuple[list[int], list[int]] | None:
        """What `lapses` and `broken` say on each row of the block. None where that is the same on all rows."""
        some = self.ragged.get(name)
        if some is None:
            return None
        if name not in self._lapsing:
            self._lapsing[name] = some.lapses(*self._lapses.get(name, (0, 0)))
        return self._lapsing[name]

    def coverage(self, name: str) -> float:
        first = self._first_seen.get(name)
        if first is None or first > self.rows:
            return NAN
        present = self._present.get(name, 0) + (self._repeats if name in self._shape else 0)
        some = self.ragged.get(name)
        present += some.stated[self._row] if some is not None else 0
        return present / (self.rows - first + 1)

    @property
    def _row(self) -> int:
        """The row of the present block, from 0."""
        return self.rows - self._before[0] - 1

    def by_row(self, kind: str, name: str) -> Any:
        """What `gap`, `coverage`, `lapses` or `broken` says on each row of the present block, as a sequence or an
        array. The metric is one that some rows of the block lack."""
        some, start = self.ragged[name], self.start
        if kind == "gap":
            return some.gaps(start, self._last_seen.get(name, 0))
        if kind == "coverage":
            return some.coverage(start, self._first_seen[name], self._present.get(name, 0))
        return (self.lapses_by_row(name) or ())[("lapses", "broken").index(kind)]

    def presence(self, name: str) -> tuple[int, int, int]:
        """Of a metric seen before, at the first row of the present block: rows that had it, rows since the first of
        them, and 1 where the rows of the block have it, else 0."""
        rows, repeats = self._before
        here = name in self._shape
        return self._present.get(name, 0) + (repeats + 1) * here, rows - self._first_seen[name] + 2, int(here)

    def _lapse(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Counts the metrics that are not finite on the row. A finite value ends the run of such rows."""
        for name, column in columns.items():
            if name in self.ragged:
                continue  # `_settle` does
            x = column[0]
            before, stretch = self._lapses.get(name, (0, 0))
            if x - x != 0.0:
                self._lapses[name] = before, stretch + 1
            elif stretch:
                self._lapses[name] = before + stretch, 0

    def _settle(self, names: Mapping[str, object], ragged: Mapping[str, Ragged]) -> None:
        """Closes the counts of the present set of metrics and opens those of `names`."""
        for name in self._shape:
            self._last_seen[name] = self.rows
            self._present[name] = self._present.get(name, 0) + self._repeats
        for name, some in self.ragged.items():
            self._last_seen[name] = self._before[0] + some.last(self.height - 1) + 1
            self._present[name] = self._present.get(name, 0) + some.stated[-1]
            if name in self._lapses or not some.is_finite:
                lapses, broken = some.lapses(*self._lapses.get(name, (0, 0)))
                self._lapses[name] = lapses[-1], broken[-1]
        self._lapsing = {}
        self.ragged, self._repeats, self._plan = ragged, 0, None
        self._shape = frozenset(names.keys() - ragged.keys() if ragged else names)
        for name in self._shape:
            self._first_seen.setdefault(name, self.rows + 1)
        for name, some in ragged.items():
            self._first_seen.setdefault(name, self.rows + some.first + 1)
