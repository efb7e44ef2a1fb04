"""The one way in which forensics looks at a run: rows that may wait, into a session of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rldk.core.model import Report
from rldk.core.table import Row
from rldk.engine.evaluate import BoundRule
from rldk.engine.live import Engine
from rldk.engine.session import EngineSession
from rldk.rules.rule import Context, Rule

HELD = 200  # held rows are judged after so many, and the outlook is renewed
EARLY, EVERY = 200, 20  # up to row 200, rows are judged every 20


class Observer:
    """Feeds rows to the engine, in order. The report is that of `rldk doctor` on the same rows.

    Rows may be held and judged later, many at once, which costs a fraction. An answer of the observer always covers all
    rows. `each` is called on every train row as it is judged, one after the other. `rows`, `step` and `values` belong
    to the row that is judged then, and otherwise to the newest row."""

    def __init__(self, rules: Sequence[Rule], context: Context, *, each: Callable[[], None] | None = None) -> None:
        self._session = EngineSession(rules, context, alerts=False)
        self._engine = self._session.engine
        self._each = each
        self._held: list[Row] = []
        self._newest: Row | None = None  # of the train rows, held or judged
        self.rows = 0  # train rows
        self.values: Mapping[str, float] = {}
        self.step: int | None = None
        self.ahead = False  # the outlook may be renewed: nothing was fed beyond the row that is judged
        self._metrics = 0  # number of metrics in the engine when `_watches` was made
        self._bound_rules: list[BoundRule] = []
        self._report: Report | None = None

    @property
    def engine(self) -> Engine:
        self.settle()
        return self._engine

    def feed(self, step: int, values: Mapping[str, float]) -> None:
        """Takes and judges a train row in canonical names. A step that goes back begins a new segment."""
        self.hold(self.following(step, values))
        self.settle()

    def following(self, step: int, values: Mapping[str, float]) -> Row:
        """The next train row."""
        newest = self._newest
        segment = 0 if newest is None else newest.segment + (step < newest.step)
        return Row(step=step, values=values, segment=segment)

    def hold(self, row: Row) -> None:
        """Takes a row of any phase with its own segment, and judges it when it is time."""
        self._held.append(row)
        self._newest = row if row.phase == "train" else self._newest
        rows = self._engine.rows + len(self._held)
        if rows % (EVERY if rows <= EARLY else HELD) == 0 or not self._engine.has_ready_rule:
            self.settle()

    def settle(self) -> None:
        """Judges the held rows."""
        held, self._held = self._held, []
        if not held:
            return
        self._report = None
        left = len(held)
        for row, _ in self._session.feed(held):
            left -= 1
            if row.phase == "train":
                self.rows += 1
                self.step, self.values = row.step, row.values
                self.ahead = not left and self._engine.rows % (EVERY if self._engine.rows <= EARLY else HELD) == 0
                if self._each is not None:
                    self._each()

    def report(self) -> Report:
        """The report of the rows so far. It is the same object until the next row."""
        self.settle()
        if self._report is None:
            self._report = self._session.report()
        return self._report

    def alarm(self, concerns: Callable[[str], bool]) -> Alarm:
        """Whether rules whose code `concerns` accepts fire on the newest row."""
        return Alarm(self, concerns)

    def bound_rules(self) -> tuple[int, list[BoundRule]]:
        """Every bound rule on train rows, and the number of metrics so far. A new metric may bring new rules."""
        met = len(self._engine.seen_metrics())
        if met != self._metrics or not self._bound_rules:
            self._metrics = met
            self._bound_rules = [w for w in self._engine.bound_rules() if w.rule.phase == "train" and not w.rule.note]
        return met, self._bound_rules


class Alarm:
    """Tells which of some rules fire on the newest row, as a warning or worse."""

    def __init__(self, observer: Observer, concerns: Callable[[str], bool]) -> None:
        self._observer = observer
        self._concerns = concerns
        self._met = -1
        self._own: list[BoundRule] = []

    def rings(self) -> bool:
        met, bound_rules = self._observer.bound_rules()
        if met != self._met:
            self._met = met
            self._own = [w for w in bound_rules if self._concerns(w.rule.code)]
        row = self._observer.rows
        for bound in self._own:
            episode = bound.episodes.open
            if episode is not None and episode.last_row == row and episode.severity != "info":
                return True
        return False


def rules_without(rules: Iterable[Rule], *, without: Callable[[str], bool]) -> tuple[Rule, ...]:
    """The rules without those whose code `without` accepts."""
    return tuple(rule for rule in rules if not without(rule.code))


def context(config: Mapping[str, Any]) -> Context:
    """What rules know of a run that reports itself: it is PPO, and its configuration."""
    return Context(algorithm="ppo", config={key: value for key, value in config.items() if value is not None})
