"""The one way in which forensics looks at a run: rows into the live engine, its report out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rldk.core.model import Report
from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.engine.looks import Watch
from rldk.engine.report import build_report
from rldk.rules.rule import Context, Rule, normals


class Observer:
    """Feeds train rows to the engine, in order. The report is that of `rldk doctor` on the same rows."""

    def __init__(self, rules: Sequence[Rule], context: Context) -> None:
        self._asked = (*rules, *normals)
        self.engine = Engine(self._asked, context)
        self.values: Mapping[str, float] = {}
        self.step: int | None = None
        self._segment = 0
        self._metrics = 0  # the engine had met so many when `_watches` was made
        self._watches: list[Watch] = []
        self._report: Report | None = None

    @property
    def rows(self) -> int:
        """Train rows so far."""
        return self.engine.rows_of("train")

    def feed(self, step: int, values: Mapping[str, float], *, time: float = math.nan) -> None:
        """Takes a train row in canonical names. A step that goes back begins a new segment."""
        self._segment += self.step is not None and step < self.step
        self.step = step
        self.take(Row(step=step, values=values, segment=self._segment, time=time))

    def take(self, row: Row) -> None:
        """Takes a row of any phase, with the segment it has."""
        self._report = None
        self.engine.feed(row)
        if row.phase == "train":
            self.step, self._segment, self.values = row.step, row.segment, row.values

    def report(self) -> Report:
        """The report of the rows so far; the same object until the next row."""
        if self._report is None:
            self._report = build_report(self.engine, self._asked, meta={}, numbers={})
        return self._report

    def alarm(self, concerns: Callable[[str], bool]) -> Alarm:
        """Whether rules with a code that `concerns` says yes to fire on the newest row."""
        return Alarm(self, concerns)

    def watches(self) -> tuple[int, list[Watch]]:
        """Every watch on train rows, and the number of metrics met by now: with a new metric there may be new ones."""
        met = len(self.engine.seen_metrics())
        if met != self._metrics or not self._watches:
            self._metrics = met
            self._watches = [w for w in self.engine.watches() if w.rule.phase == "train" and not w.rule.note]
        return met, self._watches


class Alarm:
    """Which of some rules fire on the newest row, as a warning or worse."""

    def __init__(self, observer: Observer, concerns: Callable[[str], bool]) -> None:
        self._observer = observer
        self._concerns = concerns
        self._met = -1
        self._own: list[Watch] = []

    def rings(self) -> bool:
        met, watches = self._observer.watches()
        if met != self._met:
            self._met = met
            self._own = [w for w in watches if self._concerns(w.rule.code)]
        row = self._observer.rows
        for watch in self._own:
            episode = watch.episodes.open
            if episode is not None and episode.last_row == row and episode.severity != "info":
                return True
        return False


def chosen(rules: Iterable[Rule], *, without: Callable[[str], bool]) -> tuple[Rule, ...]:
    """The rules but for those whose code `without` says yes to."""
    return tuple(rule for rule in rules if not without(rule.code))


def context(config: Mapping[str, Any]) -> Context:
    """What rules know of a run that reports itself: it is PPO, and what it was told."""
    return Context(algorithm="ppo", config={key: value for key, value in config.items() if value is not None})
