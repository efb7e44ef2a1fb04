"""Sends alerts and the state of a recorded training to W&B, MLflow and TensorBoard, beside what the trainer logs there.

from rldk.integrations.sinks import WandbSink, send

RLDKCallback(sinks=[WandbSink()])  # the callbacks of TRL and Stable-Baselines3
send(watch.recorder, WandbSink())  # any recorder"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rldk.core.extras import need
from rldk.core.model import SEVERITIES, Alert, Report
from rldk.core.table import Row
from rldk.errors import UsageError
from rldk.integrations.guard import Guard
from rldk.integrations.recorder import Recorder
from rldk.monitor.alert_text import line

MAX_TAG = 5000  # characters of a tag of MLflow


class LiveSink(Protocol):
    """A place that alerts and states are sent to. `name`: as messages call it."""

    name: str

    def state(self, values: Mapping[str, float], step: int) -> None:
        """The state of the training after a row; sent when it has changed."""

    def alert(self, alert: Alert) -> None:
        """An alert that has begun, got worse or recovered."""

    def end(self, report: Report) -> None:
        """The final report."""


class AlertState:
    """Which alerts are going on. `values`: the metrics of the state, by the names that the sinks use."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], int] = {}
        self._count = 0

    def take(self, alert: Alert) -> None:
        """An alert has begun, got worse or recovered."""
        key = (alert.rule, alert.finding.metric or "")
        if alert.event == "recovered":
            self._open.pop(key, None)
            return
        self._open[key] = 1 + SEVERITIES.index(alert.severity)
        self._count += alert.event == "begin"

    def values(self) -> dict[str, float]:
        """How many alerts there were, how many go on, and the gravest: 0 none, 1 info, 2 warn, 3 critical."""
        worst = max(self._open.values(), default=0)
        return {
            "rldk/alerts": float(self._count),
            "rldk/alerts_open": float(len(self._open)),
            "rldk/severity": float(worst),
        }


class SinkFeed:
    """Serves the sinks of one recorder. One that fails is reported once, and the others are served."""

    def __init__(self, guard: Guard, sinks: Sequence[LiveSink]) -> None:
        self._guard = guard
        self._sinks = tuple(sinks)
        self._state = AlertState()
        self._sent: dict[str, float] = {}

    def follow(self, alerts: tuple[Alert, ...], row: Row | None) -> None:
        """Sends alerts, and the state when it has changed."""
        for alert in alerts:
            self._state.take(alert)
        now = self._state.values()
        changed = now != self._sent and row is not None
        for sink in self._sinks:
            for alert in alerts:
                self._guard.run(f"sending an alert to {sink.name}", sink.alert, alert)
            if changed and row is not None:
                self._guard.run(f"sending to {sink.name}", sink.state, now, row.step)
        if changed:
            self._sent = now

    def end(self, report: Report) -> None:
        """Sends the report."""
        for sink in self._sinks:
            self._guard.run(f"sending the report to {sink.name}", sink.end, report)


def send(recorder: Recorder, *sinks: LiveSink) -> None:
    """Lets sinks follow a recorder."""
    if sinks:
        recorder.listeners.append(SinkFeed(recorder.guard, sinks))


class WandbSink:
    """Metrics and alerts of a run of W&B; by default the one that is active. The clock of the run is not moved: the
    values go with the next row that the training logs itself."""

    name = "W&B"

    def __init__(self, run: Any = None) -> None:
        with need("wandb", "wandb"):
            import wandb
        self._run = run or wandb.run
        self._levels = {"info": wandb.AlertLevel.INFO, "warn": wandb.AlertLevel.WARN}
        self._gravest = wandb.AlertLevel.ERROR
        if self._run is None:
            raise UsageError("W&B has no active run", hint="call wandb.init() first, or give the run")

    def state(self, values: Mapping[str, float], step: int) -> None:
        """Adds the values to the row that is being gathered."""
        self._run.log({**values, "rldk/step": step}, commit=False)

    def alert(self, alert: Alert) -> None:
        """An alert of W&B, which it may send on to Slack or by mail."""
        if alert.event != "recovered":
            level = self._levels.get(alert.severity, self._gravest)
            self._run.alert(title=f"rldk {alert.rule}", text=line(alert), level=level, wait_duration=0)

    def end(self, report: Report) -> None:
        """The verdict joins the summary of the run."""
        self._run.summary["rldk/verdict"] = report.verdict


class MLflowSink:
    """Metrics and tags of a run of MLflow; by default the one that is active."""

    name = "MLflow"

    def __init__(self, run_id: str | None = None, client: Any = None) -> None:
        with need("mlflow", "mlflow-skinny"):
            import mlflow
        active = mlflow.active_run()
        self._run_id = run_id or (active.info.run_id if active is not None else None)
        self._client = client or mlflow.MlflowClient()
        if self._run_id is None:
            raise UsageError("MLflow has no active run", hint="call mlflow.start_run() first, or give run_id")

    def state(self, values: Mapping[str, float], step: int) -> None:
        """One metric for each value."""
        for key, value in values.items():
            self._client.log_metric(self._run_id, key, value, step=step)

    def alert(self, alert: Alert) -> None:
        """The newest alert of a rule is a tag of the run."""
        self._client.set_tag(self._run_id, f"rldk.{alert.rule}", line(alert)[:MAX_TAG])

    def end(self, report: Report) -> None:
        """The verdict is a tag of the run."""
        self._client.set_tag(self._run_id, "rldk.verdict", report.verdict[:MAX_TAG])


class TensorBoardSink:
    """Scalars and texts of a `SummaryWriter`."""

    name = "TensorBoard"

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._step = 0

    def state(self, values: Mapping[str, float], step: int) -> None:
        """One scalar for each value."""
        self._step = step
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def alert(self, alert: Alert) -> None:
        """A text."""
        self._writer.add_text("rldk/alerts", line(alert), alert.step)

    def end(self, report: Report) -> None:
        """The verdict as a text."""
        self._writer.add_text("rldk/verdict", report.verdict, self._step)
