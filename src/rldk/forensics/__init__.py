"""PPO forensics: every update of a run goes through the live engine, which gives findings and measurements.

Beside it stand the audit of code and environment, and the comparison of checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rldk.forensics.advantage_statistics import AdvantageStatisticsMetrics, AdvantageStatisticsTracker
from rldk.forensics.comprehensive import ComprehensivePPOForensics
from rldk.forensics.gradient_norms import GradientNormsAnalyzer, GradientNormsMetrics
from rldk.forensics.kl_schedule import KLScheduleMetrics, KLScheduleTracker
from rldk.forensics.metrics import ComprehensivePPOMetrics
from rldk.forensics.scan import scan_logs, scan_ppo_events

if TYPE_CHECKING:
    from rldk import compare_runs
    from rldk.forensics.checkpoints.diff import diff_checkpoints
    from rldk.forensics.env_audit import audit_environment

__all__ = [
    "AdvantageStatisticsMetrics",
    "AdvantageStatisticsTracker",
    "ComprehensivePPOForensics",
    "ComprehensivePPOMetrics",
    "GradientNormsAnalyzer",
    "GradientNormsMetrics",
    "KLScheduleMetrics",
    "KLScheduleTracker",
    "audit_environment",
    "compare_runs",
    "diff_checkpoints",
    "scan_logs",
    "scan_ppo_events",
]


# what loads much more than PPO forensics is imported on first use
_LATER = {
    "audit_environment": "rldk.forensics.env_audit",
    "compare_runs": "rldk",  # a package beside this one: the facade of all of them leads there
    "diff_checkpoints": "rldk.forensics.checkpoints.diff",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'rldk.forensics' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
