"""The callbacks, for every trainer of TRL and for the `Trainer` of transformers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rldk.core.extras import need
from rldk.core.model import Severity
from rldk.integrations.recorder import Recording
from rldk.integrations.thresholds import RuleChoice
from rldk.integrations.trl.hooks import TrainerHooks

with need("trl", "trl"):
    import trl  # noqa: F401 - without TRL there is nothing to hook into
    from transformers import TrainerCallback


class RLDKCallback(TrainerHooks, TrainerCallback):  # type: ignore[misc]
    """Records a training and lets every rule look at it while it runs.

    It writes `{run_id}_events.jsonl`, `_metrics.csv` and `_alerts.jsonl` as they happen, `_alerts.json` and
    `_final_report.json` at the end. `rules`: a preset, a rule file, or codes. `alert_thresholds`: fixed limits, by
    kl_divergence, clip_fraction, gradient_norm, memory_usage or the code of a rule. `stop_on`: the severity of an alert
    that ends the training, `stop_with_checkpoint` after a checkpoint. `identity_interval`: the model is measured on the
    first five optimizer steps and on every so-many-th after them. `samples`: how many per-sample records of a step are
    kept."""

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
        echo: bool = True,
    ) -> None:
        super().__init__(
            Recording(
                output_dir=output_dir,
                run_id=run_id,
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
        )


class RLDKMonitor(RLDKCallback):
    """Rules and events only: the model is not measured."""

    identities = False
