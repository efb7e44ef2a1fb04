"""The callbacks, for every trainer of TRL and for the `Trainer` of transformers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rldk.adapters.formats.trl import phase_of
from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.naming.keys import Hints, Naming
from rldk.adapters.naming.rows import Renamer
from rldk.core.codec import to_json
from rldk.core.extras import need
from rldk.core.model import Severity
from rldk.core.table import Phase, Row
from rldk.emit import EventWriter, rank_path
from rldk.integrations.guard import Guard
from rldk.integrations.judge import numbers
from rldk.integrations.recorder import Recording
from rldk.integrations.sinks import LiveSink
from rldk.integrations.thresholds import RuleChoice, rule_set
from rldk.integrations.trl.benchmarks import Benchmark
from rldk.integrations.trl.checkpoints import CheckpointLog, CheckpointMeasures
from rldk.integrations.trl.hooks import TrainerHooks
from rldk.integrations.trl.share import share_of
from rldk.integrations.trl.trainers import origin_of, rank_of

with need("trl", "trl"):
    import trl  # noqa: F401 - without TRL there is nothing to hook into
    from transformers import TrainerCallback

FLOATS = frozenset({float})
MAX_PHASES = 64  # sets of keys to remember


class RLDKCallback(TrainerHooks, TrainerCallback):  # type: ignore[misc]
    """Records a training and lets every rule look at it while it runs.

    It writes `{run_id}_events.jsonl`, `_metrics.csv` and `_alerts.jsonl` as they happen, `_alerts.json` and
    `_final_report.json` at the end. `rules`: a preset, a rule file, or codes. `alert_thresholds`: fixed limits, by
    kl_divergence, clip_fraction, gradient_norm, memory_usage or the code of a rule. `stop_on`: the severity of an alert
    that ends the training, `stop_with_checkpoint` after a checkpoint. `judge_every`: how many rows may wait to be
    judged together, two seconds at most; by default 16, or 1 where an alert may stop the training. `identity_interval`:
    the model is measured on the first five optimizer steps and on every so-many-th after them. `samples`: how many
    per-sample records of a step are kept. `enable_checkpoint_analysis`: every checkpoint is measured
    (`CheckpointMetrics`), and `{run_id}_checkpoint_summary.csv` is written. `sinks`: where alerts are sent to
    (`rldk.integrations.sinks`)."""

    def __init__(
        self,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        log_interval: int = 10,
        jsonl_log_interval: int = 1,
        enable_jsonl_logging: bool = True,
        alert_thresholds: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        enable_resource_monitoring: bool = True,
        enable_checkpoint_analysis: bool = True,
        rules: RuleChoice = "default",
        identity_interval: int | None = None,
        samples: int = 0,
        stop_on: Severity | None = None,
        stop_with_checkpoint: bool = False,
        field_map: Mapping[str, str] | None = None,
        sinks: Sequence[LiveSink] = (),
        judge_every: int | None = None,
        echo: bool = True,
    ) -> None:
        super().__init__(
            Recording(
                output_dir=output_dir,
                run_id=run_id,
                judge_every=judge_every,
                rules=rules,
                thresholds=alert_thresholds or {},
                samples=samples,
                stop_on=stop_on,
                events=enable_jsonl_logging,
                event_interval=jsonl_log_interval,
                echo=echo,
            ),
            identity_interval=log_interval if identity_interval is None else identity_interval,
            stop_with_checkpoint=stop_with_checkpoint,
            resources=enable_resource_monitoring,
            field_map=field_map,
            sinks=sinks,
            checkpoints=CheckpointLog(CheckpointMeasures()) if enable_checkpoint_analysis and self.identities else None,
        )


class RLDKMonitor(RLDKCallback):
    """Rules and events only: the model is not measured."""

    identities = False


class CustomRLDKCallback(RLDKCallback):
    """A `RLDKCallback` that measures the training by goals of its own, and writes them to `{run_id}_benchmarks.json`.

    `performance_benchmarks`: `target_<metric>` and `min_<metric>` are goals from below, `max_<metric>` are limits from
    above (`{"target_reward": 1.0, "max_kl_divergence": 0.1}`). A limit that is passed is an alert.
    `benchmark_results`: for each, its highest and newest value, whether it is met, and the first step at which it was
    reached or passed."""

    def __init__(self, performance_benchmarks: Mapping[str, float] | None = None, *args: Any, **options: Any) -> None:
        self.performance_benchmarks = dict(performance_benchmarks or {"target_reward": 1.0, "max_kl_divergence": 0.1})
        self.benchmarks = [Benchmark.read(name, value) for name, value in self.performance_benchmarks.items()]
        rules = rule_set(options.pop("rules", "default")).rules
        super().__init__(*args, rules=[*rules, *(b.rule() for b in self.benchmarks if b.upper)], **options)

    @property
    def benchmark_results(self) -> dict[str, dict[str, Any]]:
        return {benchmark.name: benchmark.result() for benchmark in self.benchmarks}

    def on_row(self) -> None:
        """Looks at the goals."""
        row = self.recorder.row if self.recorder else None
        if row is not None:
            for benchmark in self.benchmarks:
                benchmark.look(row.step, row.values)

    def before_end(self) -> None:
        """Writes the goals."""
        if self.recorder is not None and self.recorder.rank == 0:
            self.recorder.files.save("benchmarks.json", to_json(self.benchmark_results, indent=1) + "\n")


class EventWriterCallback(TrainerCallback):  # type: ignore[misc]
    """Writes each logged row as one event to `path`, in canonical names, and does nothing else. The other ranks write
    `path` with their number in it."""

    def __init__(
        self, path: str | os.PathLike[str], run_id: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> None:
        self.path = os.fspath(path)
        self._run_id = run_id
        self._tags = dict(tags or {})
        self._writer: EventWriter | None = None
        self._renamer: Renamer | None = None
        self._phases: dict[tuple[str, ...], Phase] = {}
        self._guard = Guard()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Writes one row."""
        if logs:
            self._guard.run("writing an event", self._write, args, state, logs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, args: Any, state: Any, logs: Mapping[str, Any]) -> None:
        writer, renamer = self._writer, self._renamer
        if writer is None:
            writer = self._writer = EventWriter(
                rank_path(self.path, rank_of(args)), self._run_id, self._tags, outage=share_of(args).outage
            )
        values = dict(logs) if FLOATS.issuperset(map(type, logs.values())) else numbers(logs)
        keys = tuple(values)
        phase = self._phases.get(keys)
        if phase is None:
            phase = self._phases[keys] = phase_of(keys)
            if len(self._phases) > MAX_PHASES:
                self._phases = {keys: phase}
        row = Row(step=state.global_step, values=values, phase=phase)
        if renamer is None:
            origin = origin_of(args, state)
            hints = Hints(framework=origin.framework, dialect=origin.dialect, algorithm=origin.algorithm)
            renamer = self._renamer = Renamer(Naming(Opening([row]), hints))
        writer.log(renamer.rename(row).values, step=row.step, tags=None if phase == "train" else {"phase": phase})
