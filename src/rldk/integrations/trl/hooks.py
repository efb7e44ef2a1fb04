"""What every rldk callback does at the events of a trainer. It knows the shape of the events and imports no trainer."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rldk.adapters.formats.trl import phase_of
from rldk.core.model import Alert
from rldk.core.table import Phase
from rldk.integrations.guard import Guard
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.meter import Meter
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.sinks import LiveSink, send
from rldk.integrations.trl.metrics import CheckpointMetrics, RLDKMetrics
from rldk.integrations.trl.share import TrainerShare, calling_trainer, leave, share_of
from rldk.integrations.trl.taps import TrainerTap
from rldk.integrations.trl.trainers import origin_of, rank_of

if TYPE_CHECKING:
    from rldk.integrations.trl.checkpoints import CheckpointLog  # it needs numpy

MAX_PHASES = 64  # sets of keys to remember
KEPT = 1000  # of the newest logged steps, in `metrics_history`


class TrainerHooks:
    """The events of a trainer, recorded. `current_metrics`: the newest logged step. `alerts`: all so far, newest last.

    `trainer`: found on its own when the training begins; it may also be set beforehand. `stop_with_checkpoint`: a stop
    saves a checkpoint first."""

    identities = True  # whether this kind of callback measures the model

    def __init__(
        self,
        recording: Recording,
        *,
        identity_interval: int = 10,
        stop_with_checkpoint: bool = False,
        resources: bool = True,
        field_map: Mapping[str, str] | None = None,
        sinks: Sequence[LiveSink] = (),
        checkpoints: CheckpointLog | None = None,
    ) -> None:
        recording.check()
        self.recording = recording
        self.stop_with_checkpoint = stop_with_checkpoint
        self.trainer: Any = None
        self.alerts: deque[Alert] = deque(maxlen=KEPT)
        self.metrics_history: deque[RLDKMetrics] = deque(maxlen=KEPT)
        self.current_metrics = RLDKMetrics()
        self._cadence = Cadence(every=identity_interval if self.identities else 0)
        self._resources = resources
        self._field_map = field_map
        self._sinks = tuple(sinks)
        self._checkpoints = checkpoints
        self._phases: dict[tuple[str, ...], Phase] = {}
        self._recorder: Recorder | None = None
        self._share: TrainerShare | None = None
        self._tap: TrainerTap | None = None
        self._guard = Guard()

    @property
    def recorder(self) -> Recorder | None:
        """What writes the files; None before the training begins."""
        return self._recorder

    @property
    def run_id(self) -> str | None:
        return self._recorder.run_id if self._recorder else self.recording.run_id

    @property
    def checkpoints(self) -> Sequence[CheckpointMetrics]:
        """The checkpoints so far, where they are measured."""
        return self._checkpoints.made if self._checkpoints is not None else ()

    @property
    def stop_requested(self) -> bool:
        return self._recorder is not None and self._recorder.stop_requested

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begins the recording of a training."""
        self._guard.run("beginning to record", self._begin, args, state, kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measures what is due, and passes a stop on."""
        recorder = self._recorder
        if recorder is None:
            return
        share = self._share
        if share is not None and share.meter is not None and share.meter.recorder is recorder:
            self._guard.run("measuring a step", share.meter.end_of_step)
            if recorder.judge.measured and not getattr(control, "should_log", False):
                self._log(args, state, {}, ("measured", state.global_step))
        self._obey(control, ended=True)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Records one row. Subclasses that override it call `super().on_log(args, state, control, logs, **kwargs)`."""
        if not logs:
            return
        if self._recorder is None:
            self._guard.run("beginning to record", self._begin, args, state, kwargs)
        history = getattr(state, "log_history", None) or ()
        self._log(args, state, dict(logs), (state.global_step, len(history), tuple(logs)))
        self._obey(control)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint was written: it is measured. A stop that waited for it takes effect."""
        if self._recorder is not None and self._checkpoints is not None:
            model = kwargs.get("model") or getattr(self.trainer, "model", None)
            folder = str(getattr(args, "output_dir", ""))
            self._guard.run(
                "measuring a checkpoint",
                self._checkpoints.saved,
                self._recorder,
                model,
                step=state.global_step,
                folder=folder,
            )
        if self.stop_requested and self.stop_with_checkpoint and self._ignores_stops():
            self._raise_stop()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the recording: the list of alerts and the final report are written."""
        self._guard.run("ending the recording", self._end, args)

    def on_alerts(self, alerts: tuple[Alert, ...], row: RLDKMetrics) -> None:
        """Called with new alerts, of the newest logged step `row` or of rows that waited; for subclasses."""

    def on_row(self) -> None:
        """Called after each recorded row; for subclasses."""

    def before_end(self) -> None:
        """Called before the final report is written; for subclasses."""

    def _begin(self, args: Any, state: Any, given: Mapping[str, Any]) -> None:
        if self._recorder is not None:
            return
        if self.trainer is None:
            self.trainer = calling_trainer(self)
        share = self._share = share_of(args)
        recorder = Recorder(
            share.named(self.recording, type(self).__name__),
            origin_of(args, state, self._field_map),
            judge=share.judge,
            rank=rank_of(args),
            outage=share.outage,
        )
        share.judge = recorder.judge
        share.members += 1
        self._recorder, self._guard = recorder, recorder.guard
        send(recorder, *self._sinks)
        if share.meter is None and self._cadence.every > 0:
            share.meter = Meter(recorder, cadence=self._cadence, resources=self._resources)
            self._measure(share.meter, given)

    def _measure(self, meter: Meter, given: Mapping[str, Any]) -> None:
        """Hooks the model and the optimizer of the trainer."""
        trainer = self.trainer
        model = given.get("model") or getattr(trainer, "model", None)
        optimizer = given.get("optimizer") or getattr(trainer, "optimizer", None)
        meter.watch(model, optimizer, ref_model=getattr(trainer, "ref_model", None))
        if trainer is not None and meter.cadence.every > 0:
            self._tap = TrainerTap(trainer, meter, self._take_samples)
            meter.guard.run("tapping the trainer", self._tap.attach)

    def _take_samples(self, records: Sequence[Mapping[str, Any]], step: int) -> None:
        """Gives the samples of a rollout to the recorder."""
        if self._recorder is not None:
            self._recorder.log_samples(records, step=step)

    def _log(self, args: Any, state: Any, logs: dict[str, Any], key: tuple[Any, ...]) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        alerts = recorder.log(logs, step=state.global_step, phase=self._phase(tuple(logs)), key=key) or ()
        row = recorder.row
        if row is not None:
            self.current_metrics = RLDKMetrics.of(row)
            self.metrics_history.append(self.current_metrics)
        if self._checkpoints is not None:
            self._checkpoints.row(row)
        self._guard.run("looking at a row", self.on_row)
        self._tell(alerts)

    def _tell(self, alerts: tuple[Alert, ...]) -> None:
        if alerts:
            self.alerts.extend(alerts)
            self._guard.run("telling alerts", self.on_alerts, alerts, self.current_metrics)

    def _phase(self, keys: tuple[str, ...]) -> Phase:
        phase = self._phases.get(keys)
        if phase is None:
            phase = phase_of(keys) if keys else "train"
            if len(self._phases) < MAX_PHASES:
                self._phases[keys] = phase
        return phase

    def _obey(self, control: Any, *, ended: bool = False) -> None:
        """Passes a stop on to the trainer. `ended`: the optimizer step is over, so that the training may end here."""
        if not self.stop_requested:
            return
        control.should_training_stop = True
        if self.stop_with_checkpoint:
            control.should_save = True
        elif ended and self._ignores_stops():
            self._raise_stop()

    def _ignores_stops(self) -> bool:
        """Whether the trainer runs a loop of its own, without a look at `should_training_stop` (PPOTrainer of TRL)."""
        return any(kind.__name__ == "PPOTrainer" for kind in type(self.trainer).__mro__)

    def _raise_stop(self) -> None:
        recorder = self._recorder
        if recorder is not None:
            self._tell(recorder.settle() or ())
            self._guard.run("writing an analysis", self.before_end)
            recorder.close("stopped")
            recorder.raise_if_stopped()

    def _end(self, args: Any) -> None:
        recorder, share = self._recorder, self._share
        if recorder is None:
            return
        if share is not None and share.meter is not None and share.meter.recorder is recorder:
            share.meter.detach()
            if self._tap is not None:
                self._tap.detach()
                self._tap = None
            share.meter = None
        self._tell(recorder.settle() or ())
        self._guard.run("writing an analysis", self.before_end)
        recorder.close()
        leave(args)
        self._recorder = self._share = None
