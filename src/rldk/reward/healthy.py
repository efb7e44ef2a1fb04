"""`rldk.reward_health`: the report on rewards beside the numbers of the data and of its reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from rldk.reward.assessment import health
from rldk.reward.report import RewardHealthReport


class RewardHealth(Struct, frozen=True, kw_only=True):
    """The report with its numbers. The attributes of the report are those of this, too.

    `metrics`: the numbers of the data. `reference_metrics`: those of the reference data, None without it."""

    report: RewardHealthReport
    metrics: Mapping[str, float | int | None]
    reference_metrics: Mapping[str, float | int | None] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.report, name)


def reward_health(run_data: Any, reference_data: Any = None, **options: Any) -> RewardHealth:
    """The report of `rldk.reward.health`, with the numbers of the data and of its reference. Options are as there."""
    report = health(run_data, reference_data, **options)
    other = None if reference_data is None else health(reference_data, **options).numbers
    return RewardHealth(report=report, metrics=report.numbers, reference_metrics=other)
