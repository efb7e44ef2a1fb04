"""Rows in, alerts and a report out: the one way in which anything follows a run, live or afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rldk.core.model import Alert, Finding, Report
from rldk.core.table import Row
from rldk.engine.alerts import Alerts, alert_of
from rldk.engine.live import Engine
from rldk.engine.once import look_once
from rldk.engine.report.build import build_report
from rldk.rules.rule import Context, Rule, normals


class EngineSession:
    """The rules and what is normal by construction, over the rows of one run.

    The findings are those of `engine.scan` on the same rows, whatever pieces they come in. `alerts`: whether `feed`
    reports what begins, gets worse and ends; without it the work for alerts is saved. `run`: its name in
    alerts."""

    def __init__(self, rules: Sequence[Rule], context: Context, *, run: str = "", alerts: bool = True) -> None:
        self._run = run
        self._asked = (*rules, *normals)
        self.engine = Engine(self._asked, context)
        self._alerts = Alerts(self.engine, run=run) if alerts else None
        self._begun = False
        # what the configuration and the environment show is known before the first row
        self._known = look_once(self._asked, context, self.engine.inapplicable).findings if alerts else []

    @property
    def rows(self) -> int:
        return self.engine.rows

    @property
    def last_step(self) -> int | None:
        return self.engine.last_step if self.engine.rows else None

    def feed(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Sequence[Alert]]]:
        """Checks the rows one after the other and yields each with the alerts that it causes. The first row also
        brings the alerts about what was known before it.

        It is much quicker to pass many rows at once. A row is checked only when the iteration reaches it."""
        alerts = self._alerts
        for row, begun in self.engine.feed_all(rows):
            said: Sequence[Alert] = alerts.take(row, begun) if alerts and (begun or alerts.waiting) else ()
            if not self._begun:
                self._begun = True
                said = [*(alert_of(finding, row, self._run) for finding in self._known), *said]
            yield row, said

    def open(self) -> list[Finding]:
        """The findings that are going on, as far as alerts were asked for."""
        known = self._known if self._begun else []
        return [*known, *self._alerts.open()] if self._alerts else []

    def report(
        self, *, meta: dict[str, Any] | None = None, numbers: dict[str, float | int | None] | None = None
    ) -> Report:
        """The report of the rows so far, as `rldk doctor` gives it."""
        return build_report(self.engine, self._asked, meta=meta or {}, numbers=numbers or {})

    def constant(self) -> dict[int, Any]:
        """What a copy of the session may share with it, as `deepcopy` wants it: rules and context never change."""
        return {id(x): x for x in (*self._asked, self.engine.context)}
