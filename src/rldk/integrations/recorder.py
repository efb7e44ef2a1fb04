"""Records one training: events, samples, alerts and reports. Every adapter of a framework calls this and nothing else.

Nothing in here raises into a training, except `TrainingStopped` from `raise_if_stopped`, which the caller asks for."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from rldk.core.model import SEVERITIES, Alert, Report, Severity
from rldk.core.table import Phase, Row
from rldk.emit import launch_rank
from rldk.errors import TrainingStopped, UnknownName, UsageError
from rldk.integrations.guard import Guard, guarded
from rldk.integrations.judge import Judge, TrainingOrigin
from rldk.integrations.notes import notes_of
from rldk.integrations.outputs import RunFiles
from rldk.integrations.ranks import RankDigests, RankPeers
from rldk.integrations.runname import new_run_id, world_size
from rldk.integrations.samples import SampleFiles
from rldk.integrations.thresholds import RuleChoice, RuleSet, rule_set
from rldk.outage import Outage
from rldk.tracking.config import plain_config


class Recording(Struct, frozen=True, kw_only=True):
    """What a user may choose for a recorder.

    `samples`: how many per-sample records of each step are written. `stop_on`: the severity from which on an alert
    stops the training; None for never. `events`: whether `{run_id}_events.jsonl` is written; `event_interval`: every
    how many rows (rows with alerts are always written). `thresholds`: as `alert_thresholds` of the callbacks. `echo`:
    whether alerts are shown on stderr. `judge_every`: how many rows may wait to be judged together, which costs less
    than half; they wait two seconds at most. None: 1 where an alert may stop the training, otherwise 16."""

    output_dir: str | os.PathLike[str] = "./rldk_logs"
    run_id: str | None = None
    rules: RuleChoice = "default"
    thresholds: Mapping[str, Any] = {}
    samples: int = 0
    stop_on: Severity | None = None
    events: bool = True
    event_interval: int = 1
    echo: bool = True
    judge_every: int | None = None

    def check(self) -> RuleSet:
        """The rules that were chosen. Callbacks call it when they are made, so that a wrong choice is an error there
        and not in training: `UsageError`, `UnknownName` and the errors of rule files."""
        if self.judge_every is not None and self.judge_every < 1:
            raise UsageError(
                f"judge_every is {self.judge_every}",
                hint="it is how many rows may wait to be judged together, from 1 on",
            )
        return rule_set(self.rules, self.thresholds)


class Listener(Protocol):
    """What follows a recorder. What it raises is reported once, and the training goes on."""

    def follow(self, alerts: tuple[Alert, ...], row: Row | None) -> None:
        """After each row: the alerts that came with it. `row` is the newest one."""

    def end(self, report: Report) -> None:
        """The final report."""


class Recorder:
    """The recorder of one process of one training.

    `judge`, `outage`: those of another recorder of the same training, so that rows are judged once and a full disk is
    said once. `row`: the newest row in canonical names. `alerts`: those that it brought, of its own step or of rows
    that waited. `stop_reason`: why the training should stop; "" while it should not. `listeners`: what is told of
    alerts as they come."""

    def __init__(
        self,
        recording: Recording | None = None,
        origin: TrainingOrigin | None = None,
        *,
        judge: Judge | None = None,
        rank: int | None = None,
        say: Callable[[str], None] | None = None,
        outage: Outage | None = None,
    ) -> None:
        self.recording = recording or Recording()
        self.guard = Guard(say, outage)
        if self.recording.stop_on not in (None, *SEVERITIES):
            raise UnknownName("severity", str(self.recording.stop_on), SEVERITIES)
        self.rules = self.recording.check()
        self._codes = self.rules.codes
        self.rank = launch_rank() if rank is None else rank
        self.run_id = self.recording.run_id or new_run_id()
        self.origin = origin or TrainingOrigin()
        folder = Path(self.recording.output_dir)
        self.files = RunFiles(folder, self.run_id, self.guard, rank=self.rank, events=self.recording.events)
        self.samples = SampleFiles(
            folder, self.run_id, self.guard.outage, per_step=self.recording.samples, rank=self.rank
        )
        self.judge = judge or Judge(self.run_id, self.origin, self.guard)
        self._inbox = self.judge.join(self.rules.rules if self.rank == 0 else (), every=self._judge_every())
        if self.rules.unmet:
            kinds = ", ".join(sorted(self.rules.unmet))
            self.guard.warn("actions", f"only rldk monitor carries out {kinds} actions; alerts and stops work here")
        others = range(1, world_size()) if self.rank == 0 and self.recording.events else ()
        self._peers = (
            RankPeers({rank: self.files.path("events.jsonl", rank=rank) for rank in others}) if others else None
        )
        self.listeners: list[Listener] = []
        self.alerts: tuple[Alert, ...] = ()
        self.row: Row | None = None
        self.stop_reason = ""
        self.rows = 0
        self.last_step: int | None = None
        self.counts: dict[Severity, int] = dict.fromkeys(SEVERITIES, 0)
        self._extra: dict[str, Any] = {}
        self._began = time.time()
        self._closed = False
        self._left = leave_at_exit(self)

    @property
    def stop_requested(self) -> bool:
        return bool(self.stop_reason)

    def measure(self, values: Mapping[str, Any]) -> None:
        """Adds what a hook measured, under canonical names, to the next training row."""
        self.judge.measured.update({name: float(value) for name, value in values.items()})

    def attach(self, **extra: Mapping[str, Any]) -> None:
        """Adds facts to the next event beside its metrics: `rng`, `data_slice` or `model_info` of a row event."""
        for key, value in extra.items():
            self._extra.setdefault(key, {}).update(value)

    @guarded("recording a row")
    def log(
        self,
        metrics: Mapping[str, Any],
        *,
        step: int,
        phase: Phase = "train",
        time: float | None = None,
        key: Hashable = None,
    ) -> tuple[Alert, ...]:
        """Records one row of metrics, under the trainer's own names. Returns the alerts that are new with it: those of
        rows that waited to be judged (`judge_every`) come with a later row.

        `time`: unix seconds, by default now. `key`: tells the rows of one judge apart that several recorders share; the
        same key is judged once."""
        if self._closed:
            return ()
        extra, self._extra = self._extra, {}
        if self._peers is not None:
            self._peers.add(int(step), RankDigests.of(extra))
            self.judge.measured.update(self._peers.poll())
        row = self.judge.look(key, int(step), metrics, phase=phase, time=_now() if time is None else time)
        self.rows += 1
        self.row = row
        self.last_step = row.step
        self.alerts = self._news()
        notes = notes_of(self.alerts, row.step) if self.alerts else ()
        if notes or (self.rows - 1) % max(1, self.recording.event_interval) == 0:
            self.files.event(row, {**extra, "notes": notes} if notes else extra)
        if self.rank == 0:
            self.files.table(row)
        self._tell(self.alerts)
        return self.alerts

    @guarded("judging the last rows")
    def settle(self) -> tuple[Alert, ...]:
        """Judges what waits: the training has ended. Returns the alerts."""
        self.judge.finish()
        self.alerts = self._news()
        self._tell(self.alerts)
        return self.alerts

    @guarded("recording samples")
    def log_samples(self, records: Iterable[Mapping[str, Any]], *, step: int) -> int:
        """Takes the per-sample records of a step (the fields of `samples.FIELDS`), before its row: the rules look at
        all of them, and as many as were asked for are written. Returns how many."""
        if self._closed:
            return 0
        listed = list(records)
        if self.rank == 0:
            self.judge.samples(listed, int(step))
        return self.samples.add(listed, step=step) if self.samples.per_step else 0

    def stop(self, reason: str) -> None:
        """Asks the training to stop."""
        self.stop_reason = self.stop_reason or reason

    def raise_if_stopped(self) -> None:
        """Raises `TrainingStopped` when a stop was asked for; for trainers that have no flag for it."""
        if self.stop_reason:
            raise TrainingStopped(f"rldk stopped the training: {self.stop_reason}", hint=f"see {self.files.folder}")

    @guarded("writing the final report")
    def close(self, status: str = "finished", error: BaseException | None = None) -> Report | None:
        """Writes the list of alerts and the final report, and closes the files. Later calls do nothing."""
        if self._closed:
            return None
        self.settle()
        self._closed = True
        self.judge.leave(self._inbox)
        atexit.unregister(self._left)
        report = None
        if self.rank == 0:
            report = self.guard.run("making the report", self._report, status, error)
            if report is not None:
                self.guard.run("writing the report", self._save, report)
                for listener in self.listeners:
                    self.guard.run("sending the report", listener.end, report)
        self.files.close()
        return report

    def _judge_every(self) -> int | None:
        chosen, stops = self.recording.judge_every, self.recording.stop_on is not None or bool(self.rules.stops)
        return chosen if chosen is not None else 1 if stops else None

    def _news(self) -> tuple[Alert, ...]:
        """The alerts since the last look, of the rules of this recorder."""
        if not self._inbox:
            return ()
        news = tuple(alert for alert in self._inbox if alert.rule in self._codes)
        self._inbox.clear()
        return news

    def _tell(self, alerts: tuple[Alert, ...]) -> None:
        for alert in alerts:
            self._take(alert)
        for listener in self.listeners:
            self.guard.run("following alerts", listener.follow, alerts, self.row)

    def _take(self, alert: Alert) -> None:
        self.files.alert(alert)
        if alert.event == "begin":
            self.counts[alert.severity] += 1
        if self.recording.echo:
            self._echo(alert)
        wanted = self.recording.stop_on
        grave = wanted is not None and SEVERITIES.index(alert.severity) >= SEVERITIES.index(wanted)
        if alert.event != "recovered" and (grave or alert.rule in self.rules.stops):
            self.stop(f"{alert.rule} at step {alert.step}: {alert.message}")

    def _echo(self, alert: Alert) -> None:
        from rldk.monitor.alert_text import line

        if alert.severity != "info":
            self.guard.say(f"rldk: {line(alert)}")

    def _report(self, status: str, error: BaseException | None) -> Report | None:
        numbers: dict[str, float | int | None] = {
            "rows": self.rows,
            "last_step": self.last_step,
            "alerts": sum(self.counts.values()),
            "seconds": round(_now() - self._began, 3),
            "samples_written": self.samples.written,
            "samples_left_out": self.samples.left_out,
        }
        meta = {
            "run_id": self.run_id,
            "source": str(self.files.folder),
            "framework": self.origin.framework,
            "status": status,
            "error": None if error is None else type(error).__name__,
            "stopped": self.stop_reason or None,
            "alerts": dict(self.counts),
            "failures": dict(self.guard.failures),
            **({"not_written": dict(lost)} if (lost := self.guard.outage.missing) else {}),
            "ranks": world_size(),
        }
        return self.judge.report(meta=meta, numbers=numbers)

    def _save(self, report: Report) -> None:
        from rldk.core.codec import to_json

        self.files.save("final_report.json", to_json(report) + "\n")


def leave_at_exit(recorder: Recorder) -> Callable[[], None]:
    """Closes the recorder as crashed when the interpreter ends without `close`. It does not keep it alive."""
    pid, known = os.getpid(), weakref.ref(recorder)

    def left() -> None:
        there = known()
        if there is not None and os.getpid() == pid:  # a forked child that ends is not the end of the training
            there.close("crashed", getattr(sys, "last_value", None))

    atexit.register(left)
    return left


def config_of(config: Any) -> dict[str, Any]:
    """A trainer's configuration as plain values without secrets; {} for what has no such form."""
    try:
        return plain_config(config)
    except Exception:  # noqa: BLE001 - a configuration of any shape must not end a training
        return {}


def _now() -> float:
    return time.time()
