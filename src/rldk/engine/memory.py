"""The memory of a run: the values of each metric, and the features made from them, block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from rldk.engine.blocks import Columns
from rldk.engine.features.window import NAN, Feature, run

Key = tuple[Any, ...]
KEPT_VALUES = 200_000  # of all metrics together, beyond those that windows need
LEAST_KEPT, MOST_KEPT = 64, 2048  # of one metric


class History:
    """The newest finite values of a metric. `count`: how many there were so far; `fresh`: how many are in the present
    block."""

    __slots__ = ("_extremes", "_updates", "count", "fresh", "pushed", "reach", "tracks", "values")

    def __init__(self) -> None:
        self.values: list[float] = []
        self.count = 0
        self.fresh = 0
        self.pushed = 0  # every feature has taken the values up to this number
        self.reach = 0  # values from which a feature may be rebuilt
        self.tracks: list[Track] = []
        self._updates: list[Callable[[float], None]] | None = []
        self._extremes = ((0, 0, 0), NAN, NAN)

    def add(self, track: Track) -> None:
        self.tracks.append(track)
        self._updates = None
        self.reach = max(self.reach, track.reach)

    def take(self, values: Sequence[float], extremes: tuple[float, float] | None) -> None:
        first = len(self.values)
        self.values += values
        self.fresh = len(values)
        self.count += self.fresh
        if extremes is not None:
            self._extremes = (self.count, first, len(self.values)), *extremes

    def push(self, x: float) -> None:
        """Takes one value and gives it to all features. For a single row nearly all of them are needed."""
        self.values.append(x)
        if len(self.values) > self.reach + 1:
            del self.values[: len(self.values) - self.reach - 1]
        self.fresh = 1
        self.count += 1
        self.pushed = self.count
        if self._updates is None:
            self._updates = [track.feature.update for track in self.tracks]
        for update in self._updates:
            update(x)

    def extremes(self, start: int, stop: int) -> tuple[float, float]:
        """The smallest and the largest of the kept values start..stop-1. Many features ask for the same ones."""
        known, low, high = self._extremes
        if known != (self.count, start, stop):
            part = self.values[start:stop]
            low, high = min(part), max(part)
            self._extremes = (self.count, start, stop), low, high
        return low, high

    def settle(self, kept: int) -> None:
        """Drops the values that no feature needs, once there are more than `kept` of them.

        A feature that can be rebuilt from the values that stay may be behind."""
        if len(self.values) > self.reach + kept:
            for track in self.tracks:
                if not track.reach:
                    track.follow()
            del self.values[: len(self.values) - self.reach]


class Track:
    """A feature over the present block. Its value at each row is computed when somebody asks.

    A feature that depends only on its last `reach` values is rebuilt from them when nobody has asked for that long. It
    is made when it is first used: many are never used in a short run."""

    __slots__ = ("_born", "_done", "_given", "_make", "_serial", "column", "feature", "history", "reach")
    feature: Feature

    def __init__(self, history: History, make: Callable[..., Feature], parameters: tuple[Any, ...]) -> None:
        self._make = make, parameters
        self.history = history
        self.reach = _traits(make, parameters)[0]
        self.column: list[float] = []
        self._born = self._done = history.count - history.fresh
        self._serial = 0
        self._given: tuple[int, Callable[[], list[float]]] = (0, list)

    def __getattr__(self, name: str) -> Feature:
        """Makes the feature. Python calls this only while `feature` is not set."""
        if name != "feature":
            raise AttributeError(name)
        make, parameters = self._make
        self.feature = make(*parameters)
        return self.feature

    def at(self, serial: int, rows: int) -> list[float]:
        """The values at the rows of the block with this serial number."""
        if self._serial != serial:
            self._serial = serial
            known, column = self._given
            self.column = column() if known == serial else self._run(rows)
        return self.column

    def resting(self) -> float:
        """The value at every row of a block that does not have the metric."""
        if not self.history.count:
            return _traits(*self._make)[1]
        return self.now().value

    def first_values(self) -> Sequence[float] | None:
        """The values of the metric in the present block, when the feature has not seen any before. Otherwise None."""
        history = self.history
        return history.values if history.fresh == history.count > 0 == self._born + self._done else None

    def give(self, serial: int, column: Callable[[], list[float]]) -> None:
        """Takes a function for the values at the rows of the block, which somebody has worked out. The feature itself
        falls behind."""
        self._given = serial, column

    def is_worked_out(self, serial: int) -> bool:
        """Whether the values have been computed already."""
        return self._serial == serial

    def bounds(self, start: int, stop: int) -> tuple[float, float] | None:
        """The range in which the values at rows start..stop-1 of the block surely lie. None where it is unknown or some
        may be NaN."""
        history = self.history
        own = history.count - history.fresh - self._born + start + 1
        if not history.fresh or not self.reach or own < self.reach:
            return None
        end = len(history.values) - history.fresh
        low, high = history.extremes(end + start, end + stop)
        if self.reach > 1:
            part = history.values[end + start + 1 - self.reach : end + start]
            low, high = min(low, *part), max(high, *part)
        found: tuple[float, float] | None = self.feature.bounds(low, high)  # type: ignore[attr-defined]
        return found

    def follow(self) -> None:
        """Takes the values that nobody has asked about."""
        self._catch_up(self.history.count)

    def now(self) -> Feature:
        """The feature itself, after the last row."""
        self.follow()
        return self.feature

    def rebase(self) -> None:
        """Tells a feature that remembers a course that another course begins."""
        again = getattr(self.feature, "rebase", None)
        if again is not None:
            self.follow()
            self._born = self._done
            again()

    def _run(self, rows: int) -> list[float]:
        history, feature = self.history, self.feature
        self._catch_up(history.count - history.fresh)
        if self._done == history.count:
            return [feature.value] * rows
        self._done = history.count
        return run(feature, history.values[-history.fresh :])

    def _catch_up(self, to: int) -> None:
        self._done = max(self._done, self.history.pushed)
        if self._done >= to:
            return
        values, first = self.history.values, self.history.count - len(self.history.values)
        if self.reach and to - self._done >= self.reach:
            self.feature.refill(values[to - first - self.reach : to - first])  # type: ignore[attr-defined]
        else:
            run(self.feature, values[self._done - first : to - first])
        self._done = to


@lru_cache(4096)
def _traits(make: Callable[..., Feature], parameters: tuple[Any, ...]) -> tuple[int, float]:
    """The values that the feature depends on, 0 where it depends on all; and its value before the first of them."""
    feature = make(*parameters)
    return getattr(feature, "reach", 0), feature.value


class Memory:
    """The features of one phase of one run, by metric. New ones are added while rules are bound.

    Most blocks have the metrics of the block before. `_settle` brings the counts of each metric up to date once a block
    with other metrics comes."""

    __slots__ = (
        "_before", "_behind", "_first_seen", "_histories", "_items", "_kept", "_kinds", "_lapses", "_last_seen",
        "_lasting", "_makers", "_plan", "_present", "_repeats", "_shape", "height", "rows", "serial",
    )  # fmt: skip

    def __init__(self, makers: Mapping[str, Callable[..., Feature]]) -> None:
        self._makers = makers
        self._items: dict[Key, Track] = {}
        self._kinds: dict[str, list[tuple[str, Track]]] = {}
        self._histories: dict[str, History] = {}
        self._lasting: set[str] = set()  # metrics whose past values are kept
        self._first_seen: dict[str, int] = {}
        self._last_seen: dict[str, int] = {}
        self._present: dict[str, int] = {}
        # rows on which a metric was not finite: those before the present run of such rows, and those in it
        self._lapses: dict[str, tuple[int, int]] = {}
        self._shape: frozenset[str] = frozenset()
        self._repeats = 0  # rows with the present metrics that are not yet in `_last_seen` and `_present`
        self._before = (0, 0)  # rows and repeats before the present block
        self._plan: list[tuple[str, History]] | None = None
        self._kept = MOST_KEPT
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
            self._kinds.setdefault(kind, []).append((metric, found))
            self._kept = min(MOST_KEPT, max(LEAST_KEPT, KEPT_VALUES // len(self._histories)))
            self._plan = None
        return found

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
        end = len(history.values) - history.fresh + (row + 1 if history.fresh else 0)
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
        """Whether the last row had exactly these metrics."""
        return names.keys() == self._shape

    def take(self, columns: Mapping[str, Sequence[float]], height: int, *, finite: bool) -> None:
        """Takes a block of rows. `finite`: all of its values are finite. Otherwise the block is a single row."""
        if not self.has_only(columns):
            self._settle(columns)
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
            known_extremes = columns.extremes if type(columns) is Columns else None
            for name, history in plan:
                history.take(columns[name], known_extremes(name) if known_extremes else None)
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
            history.fresh = 0

    def rebase(self) -> None:
        """Tells the features that remember a course that another one begins, because the run was restarted."""
        for track in self._items.values():
            track.rebase()

    def go(self, row: int) -> None:
        """Moves to a row of the present block."""
        rows, repeats = self._before
        self.rows, self._repeats = rows + row + 1, repeats + row + 1

    def knows(self, name: str) -> bool:
        return name in self._first_seen

    def gap(self, name: str) -> float:
        if name in self._shape:
            return 0.0
        last = self._last_seen.get(name)
        return NAN if last is None else float(self.rows - last)

    def lapses(self, name: str) -> float:
        return float(self._lapses.get(name, (0, 0))[0])

    def broken(self, name: str) -> float:
        """Rows in a row, up to this one, on which the source stated the metric and it was no finite number."""
        return float(self._lapses.get(name, (0, 0))[1])

    def coverage(self, name: str) -> float:
        first = self._first_seen.get(name)
        if first is None:
            return NAN
        present = self._present.get(name, 0) + (self._repeats if name in self._shape else 0)
        return present / (self.rows - first + 1)

    def presence(self, name: str) -> tuple[int, int, int]:
        """Of a metric seen before, at the first row of the present block: rows that had it, rows since the first of
        them, and 1 where the rows of the block have it, else 0."""
        rows, repeats = self._before
        here = name in self._shape
        return self._present.get(name, 0) + (repeats + 1) * here, rows - self._first_seen[name] + 2, int(here)

    def _lapse(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Counts the metrics that are not finite on the row. A finite value ends the run of such rows."""
        for name, column in columns.items():
            x = column[0]
            before, stretch = self._lapses.get(name, (0, 0))
            if x - x != 0.0:
                self._lapses[name] = before, stretch + 1
            elif stretch:
                self._lapses[name] = before + stretch, 0

    def _settle(self, names: Mapping[str, object]) -> None:
        """Closes the counts of the present set of metrics and opens those of `names`."""
        for name in self._shape:
            self._last_seen[name] = self.rows
            self._present[name] = self._present.get(name, 0) + self._repeats
        self._shape, self._repeats, self._plan = frozenset(names), 0, None
        for name in self._shape:
            self._first_seen.setdefault(name, self.rows + 1)
