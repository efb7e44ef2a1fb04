"""The metrics of one update: those of the trackers and the scores, nested or flat."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any

from rldk.forensics.advantage_statistics import PERCENTILES, AdvantageStatisticsMetrics
from rldk.forensics.gradient_norms import GradientNormsMetrics
from rldk.forensics.history import History
from rldk.forensics.kl_schedule import KLScheduleMetrics
from rldk.forensics.tracker import TrackerMetrics


@dataclass(slots=True, kw_only=True)
class ComprehensivePPOMetrics:
    """What is known at one step; a copy of its own, which later updates leave alone. None without evidence.

    The scores: see `rldk.forensics.scores.Scores`."""

    step: int
    kl: float | None = None
    kl_coef: float | None = None
    entropy: float | None = None
    reward_mean: float | None = None
    reward_std: float | None = None
    kl_schedule_metrics: KLScheduleMetrics | None = None
    gradient_norms_metrics: GradientNormsMetrics | None = None
    advantage_statistics_metrics: AdvantageStatisticsMetrics | None = None
    overall_health_score: float | None = None
    training_stability_score: float | None = None
    convergence_quality_score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Flat: the metrics of the trackers as `kl_schedule_...`, `gradient_norms_...`, `advantage_statistics_...`."""
        flat: dict[str, Any] = {name: getattr(self, name) for name in _OWN}
        for part in _PARTS:
            metrics = getattr(self, f"{part}_metrics")
            if metrics is not None:
                flat.update({f"{part}_{name}": value for name, value in metrics.to_dict().items()})
        return flat


_PARTS: dict[str, type[TrackerMetrics]] = {
    "kl_schedule": KLScheduleMetrics,
    "gradient_norms": GradientNormsMetrics,
    "advantage_statistics": AdvantageStatisticsMetrics,
}
_OWN = tuple(n for n in ComprehensivePPOMetrics.__slots__ if not n.endswith("_metrics"))


def copied(metrics: ComprehensivePPOMetrics) -> ComprehensivePPOMetrics:
    """A deep copy; that of the standard library would cost more than the rest of an update."""
    made = copy(metrics)
    for part in _PARTS:
        setattr(made, f"{part}_metrics", copy(getattr(metrics, f"{part}_metrics")))
    advantages = made.advantage_statistics_metrics
    if advantages is not None and advantages.advantage_percentiles is not None:
        advantages.advantage_percentiles = dict(advantages.advantage_percentiles)
    return made


def history_of(parts: Iterable[str]) -> History:
    """Of the numbers that `ComprehensivePPOMetrics.to_dict` has with these parts; percentiles one by one."""
    fields = {name: name for name in _OWN if name != "step"}
    spread: dict[str, tuple[str, str]] = {}
    for part in parts:
        for name in _PARTS[part].__slots__:
            if name == "advantage_percentiles":
                spread |= {f"{part}_{name}_{key}": (f"{part}_metrics.{name}", key) for key in PERCENTILES}
            else:
                fields[f"{part}_{name}"] = f"{part}_metrics.{name}"
    return History(fields, spread)
