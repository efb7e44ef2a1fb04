from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.forensics import AdvantageStatisticsTracker, GradientNormsAnalyzer, KLScheduleTracker

Rows = list[dict[str, Any]]


def test_time_in_target_range_is_the_share_of_rows_inside() -> None:
    tracker = KLScheduleTracker(kl_target=0.1, kl_target_tolerance=0.05, window_size=40)
    seen = [tracker.update(i, 0.1 if i % 4 else 0.4, 0.2).time_in_target_range for i in range(60)]
    assert seen[18] is None
    assert seen[19:] == [pytest.approx(0.75, abs=0.04)] * 41


def controlled(respond: Callable[[float, float], float], *, rows: int = 80) -> KLScheduleTracker:
    """A KL that falls when its coefficient rises, started above the target; the tracker of it."""
    tracker, kl, coef = KLScheduleTracker(kl_target=0.1, kl_target_tolerance=0.01), 0.5, 0.1
    for i in range(rows):
        tracker.update(i, kl, coef)
        coef = respond(kl, coef)
        kl *= 1 - 0.2 * (coef - 0.2)
    return tracker


def test_a_controller_that_obeys_and_one_that_does_the_reverse() -> None:
    obeying = controlled(lambda kl, coef: coef * (1.02 if kl > 0.1 else 0.98)).current_metrics
    reverse = controlled(lambda kl, coef: coef * (0.98 if kl > 0.1 else 1.02)).current_metrics
    fixed = controlled(lambda _, coef: coef).current_metrics
    assert obeying is not None
    assert reverse is not None
    assert fixed is not None
    assert obeying.controller_responsiveness == 1.0
    assert reverse.controller_responsiveness == 0.0
    assert (fixed.controller_responsiveness, fixed.controller_overshoot, fixed.controller_oscillation) == (None,) * 3
    assert obeying.coef_change_rate == pytest.approx(0.02)


def test_overshoot_is_in_targets_and_oscillation_counts_crossings() -> None:
    tracker = KLScheduleTracker(kl_target=0.1)
    for i in range(60):
        made = tracker.update(i, 0.1 + 0.08 * math.sin(2 * math.pi * (i + 0.5) / 10), 0.2 * 1.01 ** (i % 5))
    assert made.controller_overshoot == pytest.approx(0.8)
    assert made.controller_oscillation == pytest.approx(0.2, abs=0.02)  # twice in ten rows
    assert made.kl_volatility is not None


@each_of(("kl", "share"), [(0.05, 1.0), (0.049, 0.0), (0.15, 1.0), (0.151, 0.0)])
def test_the_target_is_a_tenth_give_or_take_half_of_it_unless_it_is_said(kl: float, share: float) -> None:
    tracker = KLScheduleTracker()
    for i in range(40):
        made = tracker.update(i, kl, 0.2)
    assert (made.kl_target, made.time_in_target_range) == (0.1, share)


def test_a_coefficient_that_leaves_zero_moves_by_all_of_itself() -> None:
    tracker = KLScheduleTracker()
    for i in range(60):
        made = tracker.update(i, 0.5, 0.2 if i % 2 else 0.0)
    assert made.coef_change_rate == pytest.approx(1.0)
    resting = KLScheduleTracker()
    for i in range(60):
        made = resting.update(i, 0.5, 0.0)
    assert made.coef_change_rate == 0.0


def test_a_controller_is_judged_only_where_the_kl_left_the_target() -> None:
    for kl in (0.2, 0.05):  # above the target it must rise, below it fall
        tracker = KLScheduleTracker(kl_target=0.1, kl_target_tolerance=0.02)
        for i in range(60):
            made = tracker.update(i, kl, 0.2 * 1.02**i)
        assert made.controller_responsiveness == (1.0 if kl > 0.1 else 0.0)


def test_a_trend_is_in_doublings() -> None:
    tracker = KLScheduleTracker()
    made = [tracker.update(i, 0.1 * 2 ** (i // 30), 0.2) for i in range(60)]
    assert made[29].kl_trend == 0.0
    assert made[-1].kl_trend == 1.0


def test_norms_have_a_ratio_a_balance_and_risks_at_the_limits_of_the_rules() -> None:
    analyzer = GradientNormsAnalyzer()
    calm = [analyzer.update(i, 2.0, 1.0, 2.5) for i in range(60)][-1]
    burst = [analyzer.update(60 + i, 16.0, 1.0, 2.5) for i in range(3)][-1]
    assert (calm.policy_value_ratio, calm.ratio_median, calm.gradient_balance) == (2.0, 2.0, 1.0)
    assert (calm.exploding_gradient_risk, calm.vanishing_gradient_risk, calm.gradient_imbalance_risk) == (0, 0, 0)
    assert burst.exploding_gradient_risk == pytest.approx(1.0)
    assert burst.gradient_balance == pytest.approx(60 / 63)


def test_norms_that_vanish_and_norms_that_are_zero() -> None:
    vanishing, zero = GradientNormsAnalyzer(), GradientNormsAnalyzer(window_size=40)
    for i in range(60):
        gone = vanishing.update(i, 1.0 if i < 40 else 0.01, 1.0)
        still = zero.update(i, 1.0 if i < 50 else 0.0, 1.0)
    assert gone.vanishing_gradient_risk == pytest.approx(1.0)
    assert gone.gradient_imbalance_risk == pytest.approx(1.0)
    assert still.gradient_flow_health == pytest.approx(0.75)
    assert still.vanishing_gradient_risk == 1.0


def test_one_norm_is_enough_and_a_missing_one_is_none() -> None:
    analyzer = GradientNormsAnalyzer()
    made = [analyzer.update(i, total_grad_norm=1.0) for i in range(30)][-1]
    assert (made.policy_grad_norm, made.policy_value_ratio, made.gradient_balance) == (None, None, None)
    assert (made.gradient_stability, made.total_grad_norm) == (1.0, 1.0)


def test_advantages_that_were_whitened_and_no_longer_are() -> None:
    tracker = AdvantageStatisticsTracker(window_size=40)
    white = [tracker.update(i, 0.0, 1.0) for i in range(40)][-1]
    biased = [tracker.update(40 + i, 0.5, 1.0) for i in range(20)][-1]
    assert (white.advantage_bias, white.advantage_normalization_health, white.advantage_quality_score) == (0, 1, 1)
    assert (biased.advantage_bias, biased.advantage_bias_risk) == (0.5, 1.0)
    assert biased.advantage_normalization_health == pytest.approx(0.5)
    assert {a["type"] for a in tracker.get_anomalies()} == {"advantage_normalization_anomaly"}
    assert tracker.update(60, 0.5, 1.0).advantage_health_score is not None


def test_raw_advantages_have_no_normalisation_to_be_healthy() -> None:
    tracker = AdvantageStatisticsTracker()
    made = [tracker.update(i, 0.1, 3.0) for i in range(40)][-1]
    assert made.advantage_normalization_health is None
    assert made.advantage_scale_stability == 1.0


def test_samples_give_shape_percentiles_and_distance() -> None:
    rng, tracker = np.random.default_rng(0), AdvantageStatisticsTracker()
    for i in range(30):
        made = tracker.update(i, advantage_samples=rng.normal(size=512))
    moved = tracker.update(30, advantage_samples=rng.normal(size=512) + 1)
    assert made.advantage_percentiles is not None
    assert made.advantage_percentiles["p95"] == pytest.approx(1.64, abs=0.3)
    assert abs(made.advantage_kurtosis or 9) < 1
    assert (made.advantage_distribution_risk or 9) < 0.5
    assert moved.advantage_distribution_risk == 1.0
    assert tracker.update(31, 0.0, 1.0).advantage_percentiles is None


@pytest.mark.parametrize("tracker", [KLScheduleTracker(), GradientNormsAnalyzer(), AdvantageStatisticsTracker()])
def test_values_that_are_no_numbers_neither_break_nor_feed_a_tracker(tracker: Any) -> None:
    for i in range(30):
        tracker.update(i, 0.1, 0.2)
    before = tracker.current_metrics.to_dict()
    for i in range(30, 33):
        after = tracker.update(i, math.nan, math.inf).to_dict()
    assert all(x is None or not math.isnan(x) for x in after.values())
    kept = [n for n in before if n.endswith(("_trend", "_volatility", "_bias", "_change_rate"))]
    assert kept
    assert {n: before[n] for n in kept} == {n: after[n] for n in kept}


def test_a_summary_has_numbers_anomalies_and_what_was_not_looked_for() -> None:
    tracker = KLScheduleTracker()
    assert tracker.get_summary()["metrics"] == {}
    for i in range(60):
        tracker.update(i, 0.1 if i < 40 else 0.6, 0.2)
    summary = tracker.get_summary()
    assert summary["rows"] == 60
    assert summary["metrics"]["current_kl"] == 0.6
    assert {a["type"] for a in summary["anomalies"]} == {"kl_trend_anomaly", "kl_beyond_twice_its_target"}
    assert {c["code"] for c in summary["not_checked"]} <= {f"KL{i:03d}" for i in range(20)}


def test_the_share_of_quiet_rows_falls_while_a_rule_fires() -> None:
    tracker = KLScheduleTracker(window_size=50)
    made = [tracker.update(i, 0.1 * 1.001 ** (i % 3), 0.2 if i < 60 else 0.0) for i in range(80)]
    assert made[59].schedule_health_score == 1.0
    assert made[79].kl_health_score == 1.0
    assert made[79].schedule_health_score == pytest.approx(1 - 19 / 50)


def test_the_score_falls_soon_after_the_kl_is_twice_its_target() -> None:
    tracker = KLScheduleTracker(kl_target=0.1)
    scores = [tracker.update(i, 0.1 + 0.002 * i, 0.2).kl_health_score for i in range(150)]
    assert scores[50] == 1.0
    assert next(i for i, score in enumerate(scores) if score is not None and score < 1.0) == 55
    assert scores[149] == pytest.approx(0.05)


def test_a_kl_beyond_its_target_is_not_healthy() -> None:
    tracker = KLScheduleTracker(kl_target=0.1)
    scores = [tracker.update(i, 0.1 + 0.3 * min(1.0, max(0, i - 50) / 150)) for i in range(230)]
    assert scores[80].kl_health_score == 1.0
    assert (scores[-1].kl_health_score, scores[-1].time_in_target_range) == (0.0, 0.0)
    assert all(m.kl_health_score is None or m.kl_health_score < 0.6 for m in scores[160:])


def test_a_step_of_the_coefficient_that_is_rounding_is_no_answer() -> None:
    tracker = KLScheduleTracker(kl_target=0.1, kl_target_tolerance=0.02)
    for i in range(30):  # a billionth more is rounding, and the double is none
        tracker.update(2 * i, 0.5, 1e9 * 2.0**i)
        made = tracker.update(2 * i + 1, 0.5, 1e9 * 2.0**i + 2.0**i)
    assert made.controller_responsiveness == pytest.approx(0.5, abs=0.02)
