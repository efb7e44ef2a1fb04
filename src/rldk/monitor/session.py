"""One watched run: rows go in, alerts come out, and a report is available at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from rldk.core.model import Alert, Finding, Report
from rldk.core.table import Row
from rldk.engine.session import EngineSession
from rldk.monitor.recent_curves import RecentCurves
from rldk.monitor.reward import METRIC, WINDOW, RewardWindow
from rldk.monitor.step_gaps import StepGaps
from rldk.rules.rule import Context, Rule


class RunSession:
    """An `EngineSession` that also keeps what a monitor reports: gaps between steps, rewards and the newest curves."""

    def __init__(
        self,
        rules: Sequence[Rule],
        context: Context,
        *,
        run: str = "",
        reward_window: int = WINDOW,
        curves: RecentCurves | None = None,
    ) -> None:
        self.run = run
        self.curves = curves
        self.reward = RewardWindow(reward_window)
        self.gaps = StepGaps()
        self._inner = EngineSession(rules, context, run=run)

    @property
    def rows(self) -> int:
        return self._inner.rows

    @property
    def last_step(self) -> int | None:
        return self._inner.last_step

    def feed(self, rows: Iterable[Row]) -> list[Alert]:
        """The alerts that these rows cause, in order."""
        said: list[Alert] = []
        train = []
        for row, alerts in self._inner.feed(rows):
            said += alerts
            if row.phase == "train":
                train.append(row)
        self.gaps.follow(row.step for row in train)
        self.reward.follow(row.values[METRIC] for row in train if METRIC in row.values)
        if self.curves is not None:
            for row in train:
                self.curves.update(row.step, row.values)
        return said

    def preview(self, rows: Iterable[Row]) -> list[Alert]:
        """The alerts that these rows would cause if they were complete now. It works on a copy and changes nothing."""
        copied: RunSession = deepcopy(self, self._inner.constant())
        return [alert for alert in copied.feed(rows) if alert.event != "recovered"]

    def open(self) -> list[Finding]:
        """The findings that are going on."""
        return self._inner.open()

    def report(self, *, meta: dict[str, Any], numbers: dict[str, float | int | None]) -> Report:
        """The report of the rows so far, as `rldk doctor` gives it."""
        return self._inner.report(meta=meta, numbers=numbers)
