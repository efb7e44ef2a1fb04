"""PPO forensics: every update of a run goes through the live engine, which gives findings and measurements."""

from __future__ import annotations

from rldk.forensics.advantage_statistics import AdvantageStatisticsMetrics, AdvantageStatisticsTracker
from rldk.forensics.comprehensive import ComprehensivePPOForensics
from rldk.forensics.env_audit import audit_environment
from rldk.forensics.gradient_norms import GradientNormsAnalyzer, GradientNormsMetrics
from rldk.forensics.kl_schedule import KLScheduleMetrics, KLScheduleTracker
from rldk.forensics.metrics import ComprehensivePPOMetrics
from rldk.forensics.scan import scan_logs, scan_ppo_events

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
