"""What a look at reward data came to, without how it looks."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from rldk.core.model import Report
from rldk.rules.score_view import BoundMass, Calibration, DistributionShift, GoldCourse, ScorerSpread, Shortcut

CheckState = Literal["pass", "warn", "fail", "not_available"]


class HealthCheck(Struct, frozen=True, kw_only=True):
    """One check. `value` with its 95 % interval `low`..`high`, and the `limit` that it was compared with; None for what
    is not known. `reason`: what was seen, or why the check is not available. `needs`: the data it would take. `codes`:
    its rules. `n`: the cases that were looked at. `selected`: whether any of its rules was asked for."""

    name: str
    status: CheckState
    reason: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    n: int | None = None
    method: str = ""
    needs: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    selected: bool = True


class LengthBias(Struct, frozen=True, kw_only=True):
    """How the reward goes with the length of an answer.

    `bias_severity`: |correlation|, in [0, 1]. `bias_direction`: "longer" or "shorter" answers get more. `correlation`
    with its interval: of ranks, among the answers to a prompt. `confounded`: "unknown" where prompts are not known, so
    that the correlation is that over all answers. `unit`: of the length. `longer_wins`: of pairs of answers to a
    prompt, the share in which the longer one has more reward, with its interval; None without prompts."""

    bias_severity: float
    bias_direction: Literal["longer", "shorter"]
    correlation: float
    low: float | None = None
    high: float | None = None
    samples: int = 0
    prompts: int | None = None
    threshold: float = 0.35
    confounded: str | None = None
    unit: Literal["tokens", "characters"] = "characters"
    longer_wins: tuple[float, float, float] | None = None


class RewardHealthFacts(Report, frozen=True, kw_only=True):
    """The health of rewards. Where the data does not carry what a check needs, its value is None and its status
    "not_available"; it is never 0.

    `passed`: no check fails, and at least one besides that for missing rewards could look. `checks`: name -> check.
    `drift_detected`: the rewards have moved from the reference or fallen below their start. `calibration_score`: 1 -
    2 * the expected calibration error. `shortcut_signals`: what the reward follows. `shortcut_analysis`: features,
    words and position. `label_leakage_risk`: the larger of the share of validation rows that training has seen and the
    gap of accuracy. `overoptimization`: reward and gold over the run. `ensemble`: how far several
    scorers of the same answers are apart."""

    checks: dict[str, HealthCheck] = field(default_factory=dict)
    drift_detected: bool | None = None
    drift_metrics: dict[str, DistributionShift] = field(default_factory=dict)
    saturation_issues: tuple[str, ...] = ()
    saturation_analysis: BoundMass | None = None
    flat_group_share: float | None = None
    calibration_score: float | None = None
    calibration_details: Calibration | None = None
    shortcut_signals: tuple[str, ...] = ()
    shortcut_analysis: dict[str, tuple[Shortcut, ...]] = field(default_factory=dict)
    label_leakage_risk: float | None = None
    length_bias_detected: bool | None = None
    length_bias_metrics: LengthBias | None = None
    length_bias_recommendations: tuple[str, ...] = ()
    overoptimization: GoldCourse | None = None
    ensemble: ScorerSpread | None = None
    label_noise: float | None = None
    fixes: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)

    def status(self, name: str) -> CheckState:
        """The status of a check by its name. Raises `KeyError` for an unknown one."""
        return self.checks[name].status
