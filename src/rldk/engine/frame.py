"""The row of features that rules see. This is the engine's side of `rules.rule.Frame`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rldk.engine.features import differences, digits, extremes, holding, order, oscillation, whole_run, window
from rldk.engine.features.digits import PRINTED
from rldk.engine.features.drawdown import Drawdown, Top
from rldk.engine.features.line_test import Leap
from rldk.engine.features.noise_ratio import Unrest
from rldk.engine.features.trend import Drift
from rldk.engine.features.window import NAN, Feature
from rldk.engine.memory import Key, Memory
from rldk.engine.track import Track
from rldk.rules.rule import Context

# kind -> factory that makes the feature from its parameters; the methods of Frame name the kinds
MAKERS: dict[str, Callable[..., Feature]] = {
    "count": whole_run.Count,
    "previous": whole_run.Previous,
    "rise": whole_run.Rise,
    "first": whole_run.First,
    "last": whole_run.Last,
    "repeats": whole_run.Repeats,
    "departed": whole_run.Departed,
    "longest_run": whole_run.LongestRun,
    "recurrence": whole_run.Recurrence,
    "held": holding.HeldShare,
    "extreme": whole_run.Extreme,
    "largest_step": differences.LargestStep,
    "wander": differences.Wander,
    "mean": window.Mean,
    "median": window.Median,
    "mad": window.Mad,
    "max": extremes.Highest,
    "std": extremes.Deviation,
    "slope": extremes.Slope,
    "share": window.Share,
    "gain": window.Gain,
    "noise": window.Noise,
    "early": whole_run.Early,
    "early_mean": whole_run.EarlyMean,
    "spread": whole_run.Spread,
    "ewma": whole_run.Ewma,
    "peak": whole_run.Peak,
    "top": Top,
    "drawdown": Drawdown,
    "leap": Leap,
    "drift": Drift,
    "unrest": Unrest,
    "swings": oscillation.Swings,
    "rhythm": oscillation.Rhythm,
    "climbs": order.Climbs,
    "age": order.Age,
    "quantile": order.Quantile,
    "blocks": order.Blocks,
    "digits": digits.Digits,
}
# Trainers built on transformers' Trainer average what they log over the steps since the last row. These do not.
AVERAGING = frozenset({"trl", "transformers"})
NEWEST = frozenset({"lr", "grad_norm", "epoch", "step", "tokens_total", "kl_coef"})


class EngineFrame:
    """Implements `rules.rule.Frame` for a single row: the present block of the memory."""

    __slots__ = ("_at", "_columns", "_items", "context", "memory", "metric", "rows", "step", "unready")

    def __init__(self, memory: Memory, context: Context) -> None:
        self.memory = memory
        self._items: Mapping[Key, Track] = memory.items
        self._columns: Mapping[str, Sequence[float]] = {}
        self._at = 0
        self.context = context
        self.metric = ""
        self.unready = False
        self.step = 0
        self.rows = 0

    def show(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Shows the values of the present block."""
        self._columns = columns

    def go(self, row: int, step: int) -> None:
        """Moves to a row of the block."""
        self._at = row
        self.step = step
        self.memory.go(row)
        self.rows = self.memory.rows

    def _see(self, *key: Any) -> float:
        """Returns a feature. A NaN here does not mean that the rule lacks an input."""
        return self._items[key].feature.value

    def _ask(self, *key: Any) -> float:
        value = self._see(*key)
        if value != value and self.memory.knows(key[1]):
            self.unready = True
        return value

    def __getitem__(self, name: str) -> float:
        column = self._columns.get(name)
        return NAN if column is None else column[self._at]

    def stated(self, name: str) -> bool:
        return name in self._columns and self.memory.has(name)

    def config(self, *keys: str) -> Any:
        config = self.context.config
        for key in keys:
            found = config.get(key)
            if found is not None:
                return found
        return None

    def framework(self) -> str:
        return self.context.framework or ""

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

    def source_name(self, name: str) -> str:
        return self.context.names.get(name, name)

    def rounded(self, name: str) -> float:
        own = self._see("digits", name)
        others = [self._see("digits", other) for other in PRINTED]
        if own == own:
            return own
        known = [unit for unit in others if unit == unit]
        return min(known) if len(known) > 1 else 0.0

    def averaged(self, name: str) -> float:
        steps = self._see("rise", "step", 1)
        if self.context.framework in AVERAGING:
            return 1.0 if name in NEWEST else steps
        return steps if steps == 1.0 else NAN

    def broken(self, name: str) -> float:
        return self.memory.broken(name)

    def milestone(self, name: str, row: int) -> float:
        return self._see("early", name, row, row + 10)

    def count(self, name: str) -> float:
        return self._ask("count", name)

    def gap(self, name: str) -> float:
        return self.memory.gap(name)

    def lapses(self, name: str) -> float:
        return self.memory.lapses(name)

    def coverage(self, name: str) -> float:
        return self.memory.coverage(name)

    def previous(self, name: str, lag: int = 1) -> float:
        return self._ask("previous", name, lag)

    def rise(self, name: str, lag: int = 1) -> float:
        return self._ask("rise", name, lag)

    def first(self, name: str) -> float:
        return self._ask("first", name)

    def last(self, name: str) -> float:
        value = self._ask("last", name)
        if value != value:  # rules that need it ask for it even in a run that lacks the metric
            self.unready = True
        return value

    def repeats(self, name: str) -> float:
        return self._ask("repeats", name)

    def departed(self, name: str) -> float:
        return self._ask("departed", name)

    def longest_run(self, name: str) -> float:
        return self._ask("longest_run", name)

    def recurrence(self, name: str) -> float:
        return self._see("recurrence", name)

    def held(self, name: str) -> float:
        return self._see("held", name)

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

    def early_mean(self, name: str, start: int, stop: int) -> float:
        return self._ask("early_mean", name, start, stop)

    def spread(self, name: str, start: int = 0, stop: int = 10) -> float:
        return self._ask("spread", name, start, stop)

    def past(self, name: str, *, before: int = 5, least: int = 10) -> float:
        return self._ask("median", name, window.PAST_WINDOW, before, least)

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

    def top(self, name: str, rows: int, *, after: int = 0) -> float:
        return self._ask("top", name, rows, after)

    def drawdown(self, name: str, rows: int, top: int, *, clear: float, after: int = 0) -> float:
        return self._ask("drawdown", name, rows, top, clear, after)

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
        return self._ask("quantile", name, window.PAST_WINDOW, share, before, least)


class BlockFrame(EngineFrame):
    """One row of a block of many rows. `go` chooses the row."""

    __slots__ = ()

    def _see(self, *key: Any) -> float:
        memory = self.memory
        return self._items[key].at(memory.serial, memory.height)[self._at]

    def _ask(self, *key: Any) -> float:
        memory = self.memory
        value = self._items[key].at(memory.serial, memory.height)[self._at]
        if value != value and memory.knows(key[1]):
            self.unready = True
        return value
