"""One watched run: rows go in, alerts come out, and a report is available at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from rldk.core.model import Alert, Finding, Report
from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.monitor.alerts import Alerts
from rldk.monitor.recent_curves import Trails
from rldk.monitor.reward import METRIC, WINDOW, RewardWindow
from rldk.monitor.step_gaps import Strides
from rldk.rules.rule import Context, Rule, normals


class RunSession:
    """Feeds the rows of one run to the engine and tells what begins, grows graver and is over.

    The findings are those of `engine.scan` on the same rows."""

    def __init__(
        self,
        rules: Sequence[Rule],
        context: Context,
        *,
        run: str = "",
        reward_window: int = WINDOW,
        trails: Trails | None = None,
    ) -> None:
        self.run = run
        self.trails = trails
        self.reward = RewardWindow(reward_window)
        self.strides = Strides()
        self._asked = (*rules, *normals)
        self._engine = Engine(self._asked, context)
        self._alerts = Alerts(self._engine, run=run)

    @property
    def rows(self) -> int:
        return self._engine.rows

    @property
    def last_step(self) -> int | None:
        return self._engine.last_step if self._engine.rows else None

    def feed(self, rows: Iterable[Row]) -> list[Alert]:
        """The alerts that these rows cause, in order."""
        said: list[Alert] = []
        train = []
        alerts = self._alerts
        for row, begun in self._engine.feed_all(rows):
            if begun or alerts.waiting:
                said += alerts.take(row, begun)
            if row.phase == "train":
                train.append(row)
        self.strides.follow(row.step for row in train)
        self.reward.follow(row.values[METRIC] for row in train if METRIC in row.values)
        if self.trails is not None:
            for row in train:
                self.trails.update(row.step, row.values)
        return said

    def preview(self, rows: Iterable[Row]) -> list[Alert]:
        """The alerts that these rows would cause if they were whole now. It changes nothing, and copies all memory."""
        shared: dict[int, Any] = {id(x): x for x in (*self._asked, self._engine.context)}
        copied: RunSession = deepcopy(self, shared)
        return [alert for alert in copied.feed(rows) if alert.event != "recovered"]

    def open(self) -> list[Finding]:
        """The findings that go on."""
        return self._alerts.open()

    def report(self, *, meta: dict[str, Any], numbers: dict[str, float | int | None]) -> Report:
        """The report of the rows so far, as `rldk doctor` gives it."""
        return build_report(self._engine, self._asked, meta=meta, numbers=numbers)
