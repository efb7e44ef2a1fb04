"""Findings of the engine under the names that PPO forensics documents. The table is data; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rldk.core.model import Check, Finding, Report

# documented name -> code of its rule
ANOMALIES: Mapping[str, str] = {
    "kl_trend_anomaly": "KL001",
    "kl_volatility_anomaly": "KL015",
    "target_range_anomaly": "KL009",
    "controller_responsiveness_anomaly": "KL010",
    "controller_overshoot_anomaly": "KL011",
    "controller_oscillation_anomaly": "KL012",
    "coef_adaptation_anomaly": "KL013",
    "exploding_gradient_anomaly": "GRAD002",
    "vanishing_gradient_anomaly": "GRAD004",
    "gradient_imbalance_anomaly": "GRAD005",
    "gradient_flow_anomaly": "GRAD009",
    "gradient_balance_anomaly": "GRAD006",
    "gradient_stability_anomaly": "GRAD008",
    "ratio_trend_anomaly": "GRAD007",
    "advantage_bias_anomaly": "ADV005",
    "advantage_scale_anomaly": "ADV006",
    "advantage_distribution_anomaly": "ADV008",
    "advantage_normalization_anomaly": "ADV004",
    "advantage_trend_anomaly": "ADV009",
    "advantage_volatility_anomaly": "ADV010",
    "advantage_skewness_anomaly": "ADV011",
    "advantage_kurtosis_anomaly": "ADV007",
}
LENGTH_BIAS, LENGTH_BIAS_CODE = "length_bias_anomaly", "LEN001"
KL_DRIFT = "kl_drift_anomaly"
DRIFT_CODES = ("KL001", "KL002", "KL009")  # the KL left its course, ran away, or stays out of its target
NAMES: Mapping[str, str] = {**{code: name for name, code in ANOMALIES.items()}, LENGTH_BIAS_CODE: LENGTH_BIAS}
TRACKERS: Mapping[str, str] = {"KL": "kl_schedule", "GRAD": "gradient_norms", "ADV": "advantage_statistics"}
ELSEWHERE = "training"  # the tracker name of findings that belong to no tracker
KL_DRIFT_TRACKER, LENGTH_BIAS_TRACKER = "kl_drift", "length_bias"


def is_anomaly(finding: Finding) -> bool:
    """Whether a finding is an anomaly: a warning or worse, or a finding with a documented name.

    The rules with a documented name report anomalies even when they only inform. `level` marks those that are no reason
    to worry by themselves."""
    return finding.severity != "info" or finding.code in NAMES


def anomaly(finding: Finding, *, name: str = "", tracker: str = "") -> dict[str, Any]:
    """The finding as the documented mapping. `severity` has two words; `level` is the engine's severity, which has
    three.

    `step` is `first_step`, where the rule could first fire. `onset` is the estimated first bad step."""
    return {
        "type": name or NAMES.get(finding.code, finding.name.replace("-", "_")),
        "severity": "critical" if finding.severity == "critical" else "warning",
        "level": finding.severity,
        "message": finding.message,
        "step": finding.first_step,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "onset": finding.onset,
        "ongoing": finding.ongoing,
        "rows": finding.rows,
        "metric": finding.metric,
        "value": finding.value,
        "threshold": finding.limit,
        "tracker": tracker or tracker_of(finding),
        "code": finding.code,
        "incident": finding.incident,
        "evidence": dict(finding.evidence),
        "causes": list(finding.causes),
        "fixes": list(finding.fixes),
    }


def tracker_of(finding: Finding) -> str:
    if finding.code == LENGTH_BIAS_CODE:
        return LENGTH_BIAS_TRACKER
    return TRACKERS.get(finding.family, ELSEWHERE)


def anomalies(report: Report) -> list[dict[str, Any]]:
    """The anomalies of a report in the order of their first rows."""
    return [anomaly(f) for f in report.findings if is_anomaly(f)]


def list_unchecked(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The documented anomalies that were not looked for, each with the reason: never a silent pass."""
    return [
        {"type": NAMES[check.code], "code": check.code, "status": check.status, "reason": check.reason}
        for check in checks
        if check.code in NAMES
    ]
