"""The metrics of one update: those of the trackers and the scores, nested or flat."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from msgspec import Struct

from rldk.forensics.advantage_statistics import PERCENTILES, AdvantageStatisticsMetrics
from rldk.forensics.gradient_norms import GradientNormsMetrics
from rldk.forensics.history import History
from rldk.forensics.kl_schedule import KLScheduleMetrics
from rldk.forensics.tracker import Tracker, TrackerMetrics


class ComprehensivePPOMetrics(Struct, kw_only=True):
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
        flat: dict[str, Any] = {name: getattr(self, name) for name in OWN}
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
OWN = tuple(n for n in ComprehensivePPOMetrics.__struct_fields__ if not n.endswith("_metrics"))  # the step first
read_own = attrgetter(*OWN)
_PLACE = AdvantageStatisticsMetrics.__struct_fields__.index("advantage_percentiles")


def history_of(parts: Iterable[str]) -> History:
    """Of the numbers that `ComprehensivePPOMetrics.to_dict` has with these parts; percentiles one by one, last."""
    every = [f"{part}_{name}" for part in parts for name in _PARTS[part].__struct_fields__]
    spread = [name for name in every if name.endswith("_percentiles")]
    plain = [name for name in every if name not in spread]
    return History([*OWN[1:], *plain, *(f"{name}_{key}" for name in spread for key in PERCENTILES)])


def flat(own: tuple[Any, ...], trackers: Iterable[Tracker[Any]]) -> list[Any]:
    """The values of a row of `history_of`, given those of `OWN` and trackers that have observed it."""
    values = list(own[1:])
    last: list[Any] = []
    for tracker in trackers:
        if tracker.made_of is AdvantageStatisticsMetrics:
            newest = list(tracker.newest)
            found = newest.pop(_PLACE)
            last = [None] * len(PERCENTILES) if found is None else [*found.values()]
            values += newest
        else:
            values += tracker.newest
    return values + last
