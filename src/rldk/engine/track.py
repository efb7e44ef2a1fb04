"""A feature of one metric over the blocks of a run, and the newest values that it is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from rldk.engine.features.window import NAN, Feature, run


class History:
    """The newest finite values of a metric. `count`: how many there were so far; `fresh`: how many are in the present
    block. `counts`: for each row of the present block, how many values there are up to it; None where each row has
    one."""

    __slots__ = ("_extremes", "_updates", "count", "counts", "fresh", "pushed", "reach", "tracks", "values")

    def __init__(self) -> None:
        self.values: list[float] = []
        self.count = 0
        self.counts: Sequence[int] | None = None
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
        """Takes the values of a block, and the smallest and the largest of them where they are known."""
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

    def work_out(self, serial: int, hint: Sequence[int]) -> list[float]:
        """The values at the rows of the block, the first that the feature sees. `hint`: see `gains.HINTS`."""
        if self._serial != serial:
            self._serial = serial
            self._done = self.history.count
            before = self.feature.value
            many: Any = self.feature.run  # type: ignore[attr-defined]
            self.column = self._by_row(many(self.history.values, hint), before)
        return self.column

    def _by_row(self, column: list[float], before: float) -> list[float]:
        """The values at the rows, from those after each value. A row without the metric has that of the row before it;
        `before`: that of the last row before the block."""
        counts = self.history.counts
        return column if counts is None else [column[count - 1] if count else before for count in counts]

    def before(self) -> float:
        """The value before the first value of the metric."""
        return _traits(*self._make)[1]

    def resting(self) -> float:
        """The value at every row of a block that does not have the metric."""
        if not self.history.count:
            return self.before()
        return self.now().value

    def first_values(self) -> Sequence[float] | None:
        """The values of the metric in the present block, when the feature has not seen any before. Otherwise None."""
        history = self.history
        return history.values if history.fresh == history.count > 0 == self._born + self._done else None

    def give(self, serial: int, column: Callable[[], list[float]]) -> None:
        """Takes a function for the values at the rows of the block, which somebody has worked out. The feature itself
        falls behind."""
        self._given = serial, column

    def start_over(self, serial: int, known: list[float] | None) -> None:
        """Counts every value of the history as one that comes after the feature was made. `known`: the feature at the
        rows of the block with this serial number."""
        self._born = self._done = 0
        if known is not None:
            self._given = serial, lambda: known

    def skip(self, values: int) -> None:
        """Leaves out the first values of the history: nobody asked for the feature then."""
        self._born = self._done = values

    def is_worked_out(self, serial: int) -> bool:
        """Whether the values have been computed already."""
        return self._serial == serial

    def bounds(self, start: int, stop: int) -> tuple[float, float] | None:
        """The range in which the values at rows start..stop-1 of the block surely lie. None where it is unknown or some
        may be NaN."""
        history = self.history
        counts = history.counts
        if counts is not None:  # from here on, of values; -1 is the last one before the block
            start, stop = counts[start] - 1, counts[stop - 1]
        own = history.count - history.fresh - self._born + start + 1
        if not history.fresh or not self.reach or own < self.reach:
            return None
        end = len(history.values) - history.fresh
        low, high = history.extremes(end + start, end + max(start + 1, stop))
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
        late = max(0, self._done - (history.count - history.fresh))
        self._done = history.count
        before = feature.value
        values = run(feature, history.values[late - history.fresh :])
        return self._by_row([before] * late + values if late else values, before)

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
