"""Delivers alerts to the files, the terminal and the actions. Each alert is delivered once, also across restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from rldk.core.appending import AppendedFile
from rldk.core.model import Alert
from rldk.engine.actions.dispatch import Dispatcher, Outcome
from rldk.monitor.alert_json import record, text
from rldk.monitor.alert_text import line
from rldk.monitor.state import MonitorState
from rldk.outage import Outage

Say = Callable[[str], None]
EFFECT = "Alerts wait until this is mended; monitoring goes on."


class Places(Struct, frozen=True, kw_only=True):
    """What the user named: the files that alerts are appended to, and the rule file's text for each rule."""

    alerts: Path | None = None
    alerts_txt: Path | None = None
    words: Mapping[str, str] = field(default_factory=dict)


class Delivery:
    """`deliver` writes, prints and acts, in this order. Alerts in the state were delivered before.

    `show` gets an alert as text and as its document, `warn` gets problems. `now`: unix seconds, only for the time stamp
    on alerts. While `holding`, actions wait: a past incident that is over by now must not stop a training."""

    def __init__(
        self,
        places: Places,
        state: MonitorState,
        dispatcher: Dispatcher,
        *,
        show: Callable[[str, dict[str, Any]], None],
        warn: Say,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._words = places.words
        self._dispatcher = dispatcher
        self._show = show
        self.warn = warn
        self._now = now
        self._held: list[Alert] | None = None
        self.outage = Outage(warn, effect=EFFECT)
        self._files = [AppendedFile(p, self.outage) if p else None for p in (places.alerts, places.alerts_txt)]
        self.outcomes: list[Outcome] = []
        self.counts: dict[str, int] = {}
        if places.alerts is not None and state.resumed:
            state.recover(places.alerts)

    def deliver(self, alert: Alert) -> bool:
        """Does everything that an alert asks for. False when the same alert was delivered before."""
        if self._state.is_repeated(alert):
            self._dispatcher.recall(alert)
            return False
        late = self._held is not None and self._state.record_of(alert.run).resumed
        said = line(alert, self._words.get(alert.rule), late=late)
        document = record(alert, monitor=self._state.name(alert.run), written=self._now(), late=late)
        for file, content in zip(self._files, (text(document), said), strict=True):
            if file is not None:
                file.append(content)
        self._show(said, document)
        self.counts[alert.event] = self.counts.get(alert.event, 0) + 1
        if self._held is None:
            self._dispatcher.submit(alert)
        else:
            self._held.append(alert)
        self._state.add(alert)
        return True

    def hold(self) -> None:
        """Makes actions wait for `release` from now on."""
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """Runs the actions of the held alerts that still go on."""
        held, self._held = self._held or [], None
        over = {_incident(alert) for alert in held if alert.event == "recovered"}
        for alert in held:
            if _incident(alert) not in over:
                self._dispatcher.submit(alert)

    def tend(self) -> None:
        """Tries again what could not be written, and reports what the actions did."""
        for file in self._files:
            if file is not None and file.waiting:
                file.retry()
        for outcome in self._dispatcher.outcomes():
            if outcome.kind != "warn":
                self.outcomes.append(outcome)
                if outcome.status != "skipped":  # a skipped action was reported at the start
                    self.warn(f"{outcome.kind} for {outcome.rule}: {outcome.status}: {outcome.detail}")

    def close(self) -> None:
        """Waits for the actions, then writes what is left."""
        self.release()
        self._dispatcher.close()
        self.tend()
        for file in self._files:
            if file is not None:
                file.close()


def _incident(alert: Alert) -> tuple[str, str, str, int | None]:
    return alert.run, alert.rule, alert.finding.metric, alert.finding.first_step
