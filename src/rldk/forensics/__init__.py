"""PPO forensics: every update of a run goes through the live engine, which gives findings and measurements.

Beside it stands the audit of code and environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rldk.forensics.advantage_statistics import AdvantageStatisticsMetrics, AdvantageStatisticsTracker
from rldk.forensics.comprehensive import ComprehensivePPOForensics
from rldk.forensics.gradient_norms import GradientNormsAnalyzer, GradientNormsMetrics
from rldk.forensics.kl_schedule import KLScheduleMetrics, KLScheduleTracker
from rldk.forensics.metrics import ComprehensivePPOMetrics
from rldk.forensics.scan import scan_logs, scan_ppo_events

if TYPE_CHECKING:
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
    "scan_logs",
    "scan_ppo_events",
]


def __getattr__(name: str) -> object:
    """`audit_environment`, imported on first use: it loads twice as much as all of PPO forensics."""
    if name != "audit_environment":
        raise AttributeError(f"module 'rldk.forensics' has no attribute {name!r}")
    from rldk.forensics.env_audit import audit_environment

    return audit_environment
