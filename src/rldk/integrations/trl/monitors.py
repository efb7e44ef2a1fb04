"""Monitors for PPO and its relatives, and for checkpoints: each a callback of its own, also beside `RLDKCallback`."""

from __future__ import annotations

import os
from typing import Any

from rldk.core.codec import to_builtins, to_json
from rldk.core.extras import need
from rldk.forensics import ComprehensivePPOForensics
from rldk.integrations.recorder import Recording
from rldk.integrations.thresholds import RuleChoice, limit_rule, rule_set
from rldk.integrations.trl.checkpoints import CheckpointLog, CheckpointMeasures
from rldk.integrations.trl.hooks import TrainerHooks
from rldk.integrations.trl.metrics import PPOMetrics
from rldk.rules.rule import Rule

with need("trl", "trl"):
    import trl  # noqa: F401 - without TRL there is nothing to hook into
    from transformers import TrainerCallback

LASTING = 3  # rows in a row beyond a limit of the user, because single batches scatter
OUTLOOK_ROWS = 50  # the newest rows that the analytics describe


class PPOMonitor(TrainerHooks, TrainerCallback):  # type: ignore[misc]
    """Watches a policy-gradient training by three limits, and keeps a `PPOMetrics` of each update in `history`.

    It alerts when the KL is above `kl_threshold`, the gradient norm above `gradient_threshold`, or the standard
    deviation of the rewards below `reward_threshold` (all answers are paid alike), on three rows in a row. `rules`:
    further rules, as of `RLDKCallback`."""

    identities = False

    def __init__(
        self,
        kl_threshold: float = 0.1,
        reward_threshold: float = 0.05,
        gradient_threshold: float = 1.0,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        *,
        run_id: str | None = None,
        rules: RuleChoice = (),
        echo: bool = True,
    ) -> None:
        own = _limits(kl_threshold, reward_threshold, gradient_threshold)
        super().__init__(
            Recording(output_dir=output_dir, run_id=run_id, rules=[*own, *rule_set(rules).rules], echo=echo)
        )
        self.history: list[PPOMetrics] = []

    @property
    def current_ppo_metrics(self) -> PPOMetrics | None:
        """The newest update; None before the first."""
        return self.history[-1] if self.history else None

    def on_row(self) -> None:
        """Adds the update that was just recorded."""
        recorder = self.recorder
        if recorder is not None and recorder.row is not None and recorder.row.phase == "train":
            judge = recorder.judge
            self.history.append(PPOMetrics.judged(recorder.row, judge.open(), judge.health()))


class AdvancedPPOMonitor(PPOMonitor):
    """A `PPOMonitor` that also writes `{run_id}_analytics.json` at the end: where each metric stands and is going, and
    the incidents with their causes."""

    def __init__(
        self,
        kl_threshold: float = 0.08,
        enable_advanced_analytics: bool = True,
        *,
        reward_threshold: float = 0.05,
        gradient_threshold: float = 1.0,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        run_id: str | None = None,
        rules: RuleChoice = (),
        echo: bool = True,
    ) -> None:
        super().__init__(
            kl_threshold, reward_threshold, gradient_threshold, output_dir, run_id=run_id, rules=rules, echo=echo
        )
        self.enable_advanced_analytics = enable_advanced_analytics

    def analytics(self) -> dict[str, Any]:
        """The newest rows of each metric (mean, deviation, change over the window), the health, and the findings."""
        recorder = self.recorder
        newest = self.history[-OUTLOOK_ROWS:]
        names = sorted({name for update in newest for name in update.values})
        judge = recorder.judge if recorder else None
        return {
            "rows": len(self.history),
            "window": len(newest),
            "metrics": {name: _course([u.values[name] for u in newest if name in u.values]) for name in names},
            "health": to_builtins(judge.health()) if judge else None,
            "ongoing": to_builtins(judge.open()) if judge else [],
        }

    def before_end(self) -> None:
        """Writes the analytics."""
        recorder = self.recorder
        if self.enable_advanced_analytics and recorder is not None and recorder.rank == 0:
            recorder.files.save("analytics.json", to_json(self.analytics(), indent=1) + "\n")


class CheckpointMonitor(TrainerHooks, TrainerCallback):  # type: ignore[misc]
    """Measures the model at every checkpoint, and nothing else: `RLDKCallback` does it besides all the rest. It writes
    `{run_id}_checkpoint_summary.csv`. `checkpoints`: all so far.

    `enable_parameter_analysis`: statistics over all weights, and the drift since the last checkpoint.
    `enable_gradient_analysis`: the gradient by part of the model, as last measured."""

    def __init__(
        self,
        enable_parameter_analysis: bool = True,
        enable_gradient_analysis: bool = True,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        *,
        run_id: str | None = None,
        rules: RuleChoice = (),
        echo: bool = True,
    ) -> None:
        measures = CheckpointMeasures(parameters=enable_parameter_analysis, gradients=enable_gradient_analysis)
        super().__init__(
            Recording(output_dir=output_dir, run_id=run_id, rules=rules, echo=echo), checkpoints=CheckpointLog(measures)
        )


class ComprehensivePPOMonitor(TrainerHooks, TrainerCallback):  # type: ignore[misc]
    """Runs `ComprehensivePPOForensics` over the training, and writes its files at the end (`{run_id}_...`).

    `forensics`: the analysis, to be asked at any time. `analysis_interval`: every how many rows the analysis so far is
    written as `{run_id}_comprehensive_analysis_step_N.json`; 0 for never. The live alerts are those of the shared
    rules; the analysis looks at the rows again, in blocks, when it is asked."""

    identities = False

    def __init__(
        self,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        kl_target: float | None = 0.1,
        *,
        kl_target_tolerance: float = 0.05,
        window_size: int = 100,
        enable_kl_schedule_tracking: bool = True,
        enable_gradient_norms_analysis: bool = True,
        enable_advantage_statistics: bool = True,
        enable_kl_drift_tracking: bool = True,
        enable_length_bias_detection: bool = False,
        length_bias_threshold: float = 0.35,
        analysis_interval: int = 0,
        run_id: str | None = None,
        rules: RuleChoice = "default",
        echo: bool = True,
    ) -> None:
        super().__init__(Recording(output_dir=output_dir, run_id=run_id, rules=rules, echo=echo))
        self.forensics = ComprehensivePPOForensics(
            kl_target,
            kl_target_tolerance,
            window_size,
            enable_kl_schedule_tracking=enable_kl_schedule_tracking,
            enable_gradient_norms_analysis=enable_gradient_norms_analysis,
            enable_advantage_statistics=enable_advantage_statistics,
            enable_kl_drift_tracking=enable_kl_drift_tracking,
            enable_length_bias_detection=enable_length_bias_detection,
            length_bias_threshold=length_bias_threshold,
        )
        self._interval = analysis_interval
        self._rows = 0

    def on_row(self) -> None:
        """Gives the row to the analysis."""
        recorder = self.recorder
        if recorder is None or recorder.row is None or recorder.row.phase != "train":
            return
        values: dict[str, Any] = dict(recorder.row.values)
        self.forensics.update(recorder.row.step, **values)
        self._rows += 1
        if self._interval and self._rows % self._interval == 0 and recorder.rank == 0:
            self.forensics.save_analysis(recorder.files.folder / recorder.run_id, at_step=True)

    def before_end(self) -> None:
        """Writes the files of the analysis."""
        recorder = self.recorder
        if recorder is not None and recorder.rank == 0 and self._rows:
            self.forensics.save_analysis(recorder.files.folder / recorder.run_id)


def _limits(kl: float, reward: float, gradient: float) -> list[Rule]:
    lasting = f"on {LASTING} rows in a row"
    norms = ("grad_norm", "grad_norm_policy")
    return [
        limit_rule(
            "ppo_monitor_kl",
            f"value > {kl!r}",
            metrics=("kl",),
            rows=LASTING,
            message=f"High KL divergence detected: {{value:.3g}} is above {kl:g} {lasting}",
        ),
        limit_rule(
            "ppo_monitor_gradient",
            f"value > {gradient!r}",
            metrics=norms,
            rows=LASTING,
            message=f"Large gradient norm detected: {{name}} is {{value:.3g}}, above {gradient:g} {lasting}",
        ),
        limit_rule(
            "ppo_monitor_reward",
            f"value < {reward!r}",
            metrics=("reward_std",),
            rows=LASTING,
            message=f"Rewards hardly differ: their standard deviation is {{value:.3g}}, below {reward:g} {lasting}",
        ),
    ]


def _course(values: list[float]) -> dict[str, float | int]:
    """Number, newest value, mean, deviation, and the mean of the newer half minus that of the older one."""
    n = len(values)
    mean = sum(values) / n
    half = n // 2
    change = sum(values[half:]) / (n - half) - sum(values[:half]) / half if half else 0.0
    deviation = (sum((x - mean) ** 2 for x in values) / n) ** 0.5
    return {"count": n, "newest": values[-1], "mean": mean, "std": deviation, "change": change}
