"""The row of features that rules look at: the engine's side of `rules.rule.Frame`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rldk.core.table import Row
from rldk.engine import features as fx
from rldk.engine import heading, strides, swings, windows
from rldk.engine.course import Drift
from rldk.engine.features import NAN, Feature
from rldk.engine.leap import Leap
from rldk.engine.unrest import Unrest
from rldk.rules.rule import Context

Key = tuple[Any, ...]
# kind -> factory of the feature from its parameters; the methods of Frame name the kinds
MAKERS: dict[str, Callable[..., Feature]] = {
    "count": fx.Count,
    "previous": fx.Previous,
    "first": fx.First,
    "last": fx.Last,
    "repeats": fx.Repeats,
    "departed": fx.Departed,
    "longest_run": fx.LongestRun,
    "extreme": fx.Extreme,
    "largest_step": strides.LargestStep,
    "wander": strides.Wander,
    "mean": fx.Mean,
    "median": fx.Median,
    "mad": fx.Mad,
    "max": windows.Highest,
    "std": windows.Deviation,
    "slope": windows.Slope,
    "share": fx.Share,
    "gain": fx.Gain,
    "noise": fx.Noise,
    "early": fx.Early,
    "spread": fx.Spread,
    "ewma": fx.Ewma,
    "peak": fx.Peak,
    "leap": Leap,
    "drift": Drift,
    "unrest": Unrest,
    "swings": swings.Swings,
    "rhythm": swings.Rhythm,
    "climbs": heading.Climbs,
    "age": heading.Age,
    "quantile": heading.Quantile,
    "blocks": heading.Blocks,
}
COURSES = (Leap, Drift, Unrest, swings.Swings, swings.Rhythm)  # begin anew after a restart


class Memory:
    """The features of one phase of one run, by metric; grows while rules are bound, then only updates.

    Most rows have the metrics of the row before: what is counted of each is then brought up to date by `_settle` once
    a row of another shape comes, and the features to update are known."""

    __slots__ = (
        "_by_metric", "_first_seen", "_items", "_last_seen", "_plan", "_present", "_repeats", "_shape", "leaps", "rows"
    )  # fmt: skip

    def __init__(self) -> None:
        self._items: dict[Key, Feature] = {}
        self._by_metric: dict[str, list[Feature]] = {}
        self._first_seen: dict[str, int] = {}
        self._last_seen: dict[str, int] = {}
        self._present: dict[str, int] = {}
        self._shape: frozenset[str] = frozenset()
        self._repeats = 0  # rows of the present shape that are not yet in `_last_seen` and `_present`
        self._plan: list[tuple[str, list[Callable[[float], None]]]] | None = None
        self.leaps: list[tuple[str, Leap]] = []  # by metric
        self.rows = 0

    @property
    def items(self) -> Mapping[Key, Feature]:
        return self._items

    def feature(self, key: Key) -> Feature:
        """The instance for (kind, metric, parameters ...); made on first request."""
        found = self._items.get(key)
        if found is None:
            kind, metric, *parameters = key
            found = self._items[key] = MAKERS[kind](*parameters)
            self._by_metric.setdefault(metric, []).append(found)
            if isinstance(found, Leap):
                self.leaps.append((metric, found))
            self._plan = None
        return found

    def alike(self, values: Mapping[str, float]) -> bool:
        """Whether the last row had exactly these metrics."""
        return values.keys() == self._shape

    def update(self, values: Mapping[str, float], *, finite: bool) -> None:
        """Takes a row. `finite`: the caller knows that all of its values are."""
        if not self.alike(values):
            self._settle(values)
        self.rows += 1
        self._repeats += 1
        plan = self._plan
        if plan is None:
            asked = self._by_metric
            plan = self._plan = [(n, [f.update for f in asked[n]]) for n in values if n in asked]
        for name, updates in plan:
            x = values[name]
            if finite or x - x == 0.0:
                for update in updates:
                    update(x)

    def rebase(self) -> None:
        """Tells the features that follow a course that another one begins: the run was restarted."""
        for feature in self._items.values():
            if isinstance(feature, COURSES):
                feature.rebase()

    def knows(self, name: str) -> bool:
        return name in self._first_seen

    def gap(self, name: str) -> float:
        if name in self._shape:
            return 0.0
        last = self._last_seen.get(name)
        return NAN if last is None else float(self.rows - last)

    def coverage(self, name: str) -> float:
        first = self._first_seen.get(name)
        if first is None:
            return NAN
        present = self._present.get(name, 0) + (self._repeats if name in self._shape else 0)
        return present / (self.rows - first + 1)

    def _settle(self, values: Mapping[str, float]) -> None:
        """Closes the account of the present shape and opens that of `values`."""
        for name in self._shape:
            self._last_seen[name] = self.rows
            self._present[name] = self._present.get(name, 0) + self._repeats
        self._shape, self._repeats, self._plan = frozenset(values), 0, None
        for name in self._shape:
            self._first_seen.setdefault(name, self.rows + 1)


class _Unknown:
    value = NAN


class _Making:
    """Stands in for the features while rules are bound: makes each that is asked for, and knows nothing."""

    __slots__ = ("_memory",)

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __getitem__(self, key: Key) -> _Unknown:
        self._memory.feature(key)
        return _UNKNOWN


_UNKNOWN = _Unknown()


class EngineFrame:
    """See `rules.rule.Frame`. While `binding`, every request makes its feature and answers NaN."""

    __slots__ = ("_items", "_making", "_values", "context", "memory", "metric", "row", "rows", "step", "unready")

    def __init__(self, memory: Memory, context: Context) -> None:
        self.memory = memory
        self._items: Mapping[Key, Feature] | _Making = memory.items
        self._making = _Making(memory)
        self.context = context
        self.metric = ""
        self.unready = False
        self._values: Mapping[str, float] = {}
        self.step = 0
        self.rows = 0

    @property
    def binding(self) -> bool:
        return self._items is self._making

    @binding.setter
    def binding(self, on: bool) -> None:
        self._items = self._making if on else self.memory.items
        self._values = {}

    def show(self, row: Row, values: Mapping[str, float]) -> None:
        self._values = values
        self.step = row.step
        self.rows = self.memory.rows

    def _ask(self, *key: Any) -> float:
        value = self._items[key].value
        if value != value and self.memory.knows(key[1]):
            self.unready = True
        return value

    def __getitem__(self, name: str) -> float:
        return self._values.get(name, NAN)

    def stated(self, name: str) -> bool:
        return name in self._values

    def config(self, *keys: str) -> Any:
        config = self.context.config
        for key in keys:
            found = config.get(key)
            if found is not None:
                return found
        return None

    def estimator(self, name: str) -> str:
        return self.context.estimators.get(name, "")

    def progress(self) -> float:
        total = self.context.total_steps
        return self.step / total if total else NAN

    def reference(self, name: str) -> float:
        baseline = self.context.reference
        return NAN if baseline is None else baseline.level(name, self.step)

    def reference_spread(self, name: str) -> float:
        baseline = self.context.reference
        return NAN if baseline is None else baseline.spread(name, self.step)

    def count(self, name: str) -> float:
        return self._ask("count", name)

    def gap(self, name: str) -> float:
        return self.memory.gap(name)

    def coverage(self, name: str) -> float:
        return self.memory.coverage(name)

    def previous(self, name: str, lag: int = 1) -> float:
        return self._ask("previous", name, lag)

    def first(self, name: str) -> float:
        return self._ask("first", name)

    def last(self, name: str) -> float:
        value = self._ask("last", name)
        if value != value:  # asked for by rules that are nothing without it, also in a run that lacks the metric
            self.unready = True
        return value

    def repeats(self, name: str) -> float:
        return self._ask("repeats", name)

    def departed(self, name: str) -> float:
        return self._ask("departed", name)

    def longest_run(self, name: str) -> float:
        return self._ask("longest_run", name)

    def highest(self, name: str, *, before: int = 1) -> float:
        return self._ask("extreme", name, 1, before)

    def lowest(self, name: str, *, before: int = 1) -> float:
        return self._ask("extreme", name, -1, before)

    def largest_step(self, name: str, *, before: int = 1) -> float:
        return self._ask("largest_step", name, before)

    def mean(self, name: str, window: int, *, before: int = 0) -> float:
        return self._ask("mean", name, window, before)

    def median(self, name: str, window: int, *, before: int = 0) -> float:
        return self._ask("median", name, window, before)

    def mad(self, name: str, window: int, *, before: int = 0) -> float:
        return self._ask("mad", name, window, before)

    def max(self, name: str, window: int) -> float:
        return self._ask("max", name, window)

    def min(self, name: str, window: int) -> float:
        return self._ask("max", name, window, -1)

    def std(self, name: str, window: int) -> float:
        return self._ask("std", name, window)

    def slope(self, name: str, window: int) -> float:
        return self._ask("slope", name, window)

    def early(self, name: str, start: int = 5, stop: int = 25) -> float:
        return self._ask("early", name, start, stop)

    def spread(self, name: str, start: int = 0, stop: int = 10) -> float:
        return self._ask("spread", name, start, stop)

    def past(self, name: str, *, before: int = 5, least: int = 10) -> float:
        return self._ask("median", name, fx.PAST_WINDOW, before, least)

    def share(self, name: str, window: int, *, above: float | None = None, below: float | None = None) -> float:
        return self._ask("share", name, window, above, below)

    def gain(self, name: str, window: int) -> float:
        return self._ask("gain", name, window)

    def noise(self, name: str, window: int, *, before: int = 0) -> float:
        return self._ask("noise", name, window, before)

    def wander(self, name: str, window: int, *, lag: int, before: int = 0) -> float:
        return self._ask("wander", name, window, lag, before)

    def ewma(self, name: str, weight: float) -> float:
        return self._ask("ewma", name, weight)

    def peak(self, name: str, weight: float) -> float:
        return self._ask("peak", name, weight)

    def leap(self, name: str, *, log: bool = False, floor: float = 0.0) -> float:
        return self._ask("leap", name, log, floor)

    def drift(self, name: str, block: int = 5, blocks: int = 12, *, log: bool = False) -> float:
        return self._ask("drift", name, block, blocks, log)

    def unrest(
        self, name: str, window: int = 20, *, log: bool = False, relative: bool = False, floor: float = 0.0
    ) -> float:
        return self._ask("unrest", name, window, log, relative, floor)

    def swings(self, name: str, window: int, *, low: float, high: float) -> float:
        return self._ask("swings", name, window, low, high)

    def rhythm(self, name: str, window: int, *, low: float, high: float) -> float:
        return self._ask("rhythm", name, window, low, high)

    def climbs(self, name: str, window: int) -> float:
        return self._ask("climbs", name, window)

    def age(self, name: str, sign: int = 1) -> float:
        return self._ask("age", name, sign)

    def quantile(self, name: str, share: float, *, before: int = 1, least: int = 20) -> float:
        return self._ask("quantile", name, fx.PAST_WINDOW, share, before, least)
