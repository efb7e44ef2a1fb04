"""The callback and the writer, for every algorithm of Stable-Baselines3 and of sb3-contrib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from rldk.core.extras import need
from rldk.core.model import Alert, Severity
from rldk.integrations.at_exit import close_at_exit
from rldk.integrations.guard import Guard
from rldk.integrations.judge import Judge
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.sb3.learning import DEFAULT_INTERVAL, LearnRecording
from rldk.integrations.sinks import LiveSink, send
from rldk.integrations.thresholds import RuleChoice

with need("sb3", "stable-baselines3"):
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import KVWriter


class RLDKWriter(KVWriter):  # type: ignore[misc]
    """Passes each dump of a logger on to a recording. The callback adds one by itself."""

    def __init__(self, recording: LearnRecording) -> None:
        self._recording = recording

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Records one dump."""
        self._recording.guard.run("recording a dump", self._recording.row, key_values, step)

    def close(self) -> None:
        """Does nothing: the callback ends the recording."""


class RLDKCallback(BaseCallback):  # type: ignore[misc]
    """Records `learn()` and lets every rule look at it while it runs: `model.learn(..., callback=RLDKCallback())`.

    It writes `{run_id}_events.jsonl`, `_metrics.csv` and `_alerts.jsonl` as they happen, `_alerts.json` and
    `_final_report.json` at the end. `rules`: a preset, a rule file, or codes. `alert_thresholds`: fixed limits, by
    kl_divergence, clip_fraction, gradient_norm, memory_usage or the code of a rule. `stop_on`: the severity of an alert
    that ends `learn()`, `stop_with_checkpoint` after `{run_id}_stopped.zip` was saved. `judge_every`: how many rows may
    wait to be judged together, two seconds at most; by default 16, or 1 where an alert may end `learn()`.
    `identity_interval`: the weights are measured on the first five optimizer steps and on every so-many-th after them;
    0 for never. `sinks`: where alerts are sent to (`rldk.integrations.sinks`)."""

    def __init__(
        self,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        run_id: str | None = None,
        rules: RuleChoice = "default",
        *,
        alert_thresholds: Mapping[str, Any] | None = None,
        stop_on: Severity | None = None,
        stop_with_checkpoint: bool = False,
        identity_interval: int = DEFAULT_INTERVAL,
        field_map: Mapping[str, str] | None = None,
        sinks: Sequence[LiveSink] = (),
        judge_every: int | None = None,
        echo: bool = True,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self.recording = Recording(
            output_dir=output_dir,
            run_id=run_id,
            rules=rules,
            thresholds=alert_thresholds or {},
            stop_on=stop_on,
            judge_every=judge_every,
            echo=echo,
        )
        self.recording.check()
        self.stop_with_checkpoint = stop_with_checkpoint
        self.judge: Judge | None = None  # the engine of another recorder of the same training
        self._sinks = tuple(sinks)
        self._interval = identity_interval
        self._field_map = field_map
        self._guard = Guard()
        self._learning: LearnRecording | None = None
        self._writer: RLDKWriter | None = None
        self._calls = 0

    @property
    def recorder(self) -> Recorder | None:
        """What writes the files; None before `learn()`."""
        return self._learning.recorder if self._learning else None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts of the newest row."""
        return self._learning.recorder.alerts if self._learning else ()

    @property
    def stop_requested(self) -> bool:
        return self._learning is not None and self._learning.recorder.stop_requested

    def _on_training_start(self) -> None:
        self._guard.run("beginning to record", self._begin)

    def _on_step(self) -> bool:
        learning = self._learning
        if learning is None or learning.step(self.locals, self.num_timesteps):
            return True
        if self.stop_with_checkpoint:
            path = learning.recorder.files.path("stopped.zip")
            self._guard.run("saving a checkpoint", self.model.save, path)
        return False

    def _on_rollout_end(self) -> None:
        if self._learning is not None:
            self._learning.rollout_end()

    def _on_training_end(self) -> None:
        self._guard.run("ending the recording", self._end)

    def _begin(self) -> None:
        self._calls += 1
        chosen = self.recording
        if self._calls > 1 and chosen.run_id is not None:  # a second call of learn() is a run of its own
            chosen = replace(chosen, run_id=f"{chosen.run_id}-{self._calls}")
        learning = LearnRecording(
            chosen, self.model, interval=self._interval, field_map=self._field_map, judge=self.judge
        )
        self._guard = learning.guard
        send(learning.recorder, *self._sinks)
        self._writer = RLDKWriter(learning)
        self.model.logger.output_formats.append(self._writer)
        self._learning = learning
        close_at_exit(learning.recorder)

    def _end(self) -> None:
        learning, writer = self._learning, self._writer
        if learning is None:
            return
        logger = self.model.logger
        if writer in logger.output_formats:
            logger.output_formats.remove(writer)
        learning.end(dict(logger.name_to_value), self.num_timesteps)
