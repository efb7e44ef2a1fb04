from __future__ import annotations

from rldk.core.model import Finding
from rldk.forensics.anomalies import ANOMALIES, DRIFT_CODES, NAMES, anomaly, is_anomaly
from rldk.rules.rule import rules

DOCUMENTED = """
kl_trend_anomaly kl_volatility_anomaly target_range_anomaly controller_responsiveness_anomaly
controller_overshoot_anomaly controller_oscillation_anomaly coef_adaptation_anomaly exploding_gradient_anomaly
vanishing_gradient_anomaly gradient_imbalance_anomaly gradient_flow_anomaly gradient_balance_anomaly
gradient_stability_anomaly ratio_trend_anomaly advantage_bias_anomaly advantage_scale_anomaly
advantage_distribution_anomaly advantage_normalization_anomaly advantage_trend_anomaly advantage_volatility_anomaly
advantage_skewness_anomaly advantage_kurtosis_anomaly
""".split()


def finding(**changes: object) -> Finding:
    given: dict[str, object] = {
        "code": "KL001",
        "name": "kl-leaves-its-course",
        "family": "KL",
        "severity": "warn",
        "tier": 2,
        "first_step": 7,
        "last_step": 9,
        "metric": "kl",
        "value": 0.5,
        "limit": 0.2,
        "message": "the KL went up",
    }
    return Finding(**{**given, **changes})  # type: ignore[arg-type]


def test_every_documented_name_is_a_rule_of_the_catalogue() -> None:
    assert list(ANOMALIES) == DOCUMENTED
    assert set(NAMES) <= set(rules.names())
    assert set(DRIFT_CODES) <= set(rules.names())


def test_a_finding_has_its_documented_name_and_keys() -> None:
    made = anomaly(finding(severity="critical"))
    wanted = {"type": "kl_trend_anomaly", "severity": "critical", "message": "the KL went up", "step": 7, "value": 0.5}
    assert made.items() >= {**wanted, "threshold": 0.2, "tracker": "kl_schedule", "code": "KL001"}.items()
    assert (made["first_step"], made["last_step"], made["ongoing"]) == (7, 9, False)


def test_severity_has_two_words_and_level_keeps_the_third() -> None:
    made = [anomaly(finding(severity=s)) for s in ("info", "warn", "critical")]
    assert [m["severity"] for m in made] == ["warning", "warning", "critical"]
    assert [m["level"] for m in made] == ["info", "warn", "critical"]


def test_a_finding_of_another_rule_is_named_after_it_and_counts_from_a_warning_on() -> None:
    other = {"code": "REW012", "name": "reward-collapse", "family": "REW"}
    assert anomaly(finding(**other)).items() >= {"type": "reward_collapse", "tracker": "training"}.items()
    assert is_anomaly(finding(**other))
    assert not is_anomaly(finding(**other, severity="info"))
    assert is_anomaly(finding(severity="info"))
