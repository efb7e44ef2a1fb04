"""Risks and answers of the trackers at their limits, worked out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rldk.errors import UsageError
from rldk.forensics import ComprehensivePPOForensics
from rldk.forensics.advantage_statistics import AdvantageStatisticsTracker
from rldk.forensics.gradient_norms import _apart, _worst, share
from rldk.forensics.kl_drift import KLDrift
from rldk.forensics.kl_schedule import KLScheduleTracker
from rldk.forensics.length_bias import length_bias

NAN = math.nan


def test_a_share_is_a_place_on_a_log_scale() -> None:
    for above, below, expected in [
        (1.0, 1.0, 0.0), (0.5, 1.0, 0.0), (2.0, 1.0, 0.5), (4.0, 1.0, 1.0), (5.0, 1.0, 1.0), (1.0, 0.0, 1.0),
        (0.0, 0.0, 0.0), (-1.0, 1.0, NAN), (1.0, -1.0, NAN), (NAN, 1.0, NAN),
    ]:  # fmt: skip
        assert share(above, below, 4.0) == pytest.approx(expected, nan_ok=True), (above, below)


def test_a_decade_apart_is_a_whole_risk() -> None:
    for a, b, expected in [
        (1.0, 10.0, 1.0), (100.0, 1.0, 1.0), (math.sqrt(10.0), 1.0, 0.5), (0.0, 1.0, NAN), (1.0, 0.0, NAN),
        (0.0, 0.0, NAN),
    ]:  # fmt: skip
        assert _apart(a, b) == pytest.approx(expected, nan_ok=True), (a, b)
    assert (_worst([NAN, 0.25, 0.5]), _worst([NAN]), _worst([])) == (0.5, None, None)


def test_a_length_bias_is_a_correlation_beyond_the_threshold() -> None:
    def status(rho: float, *severities: str, prompts: bool = True) -> tuple[Any, ...]:
        coupling = SimpleNamespace(rho=rho, low=rho - 0.1, high=rho + 0.1, n=40, groups=20)
        findings: Any = [SimpleNamespace(code="LEN001", severity=s) for s in severities]
        found = length_bias(SimpleNamespace(coupling=coupling, prompts_known=prompts), findings, threshold=0.5)  # type: ignore[arg-type]
        return found["status"], found["direction"], found["severity"], found["confounded"], found["groups"]

    assert status(0.5) == ("pass", "longer", 0.5, None, 20)
    assert status(0.51) == ("warn", "longer", 0.51, None, 20)
    assert status(-0.51) == ("warn", "shorter", 0.51, None, 20)
    assert status(0.0, prompts=False) == ("pass", "shorter", 0.0, "unknown", None)
    assert status(NAN) == ("not_available", None, None, None, 20)


def test_without_responses_a_length_bias_is_not_checked() -> None:
    found = length_bias(SimpleNamespace(coupling=None, prompts_known=True), [], threshold=0.5)  # type: ignore[arg-type]
    assert (found["status"], found["sample_count"], found["interval"]) == ("not_available", 0, None)
    assert "at least 30 responses" in found["reason"]


def test_samples_of_advantages_may_be_an_array_a_list_or_a_generator() -> None:
    values = [float(i) for i in range(101)]
    for samples in (values, np.array(values), np.array([values]), (x for x in values)):
        tracker = AdvantageStatisticsTracker()
        made = tracker.update(1, advantage_samples=samples)
        assert made.advantage_percentiles == {"p05": 5.0, "p25": 25.0, "p50": 50.0, "p75": 75.0, "p95": 95.0}
        assert (made.advantage_mean, made.advantage_max) == (50.0, 100.0)


def test_rows_that_can_teach() -> None:
    for mean, std, useful in [
        (0.5, 1.0, 1.0), (0.51, 1.0, 0.0), (-0.51, 1.0, 0.0), (0.0, 0.0, 0.0), (NAN, 1.0, 0.0), (0.0, math.inf, 0.0)
    ]:  # fmt: skip
        tracker = AdvantageStatisticsTracker()
        made = [tracker.update(step, mean, std) for step in range(30)][-1]
        assert made.advantage_quality_score == useful, (mean, std)


def test_a_controller_that_obeys_and_one_that_does_not() -> None:
    for rise, obeyed in [(1.1, 1.0), (0.9, 0.0)]:
        tracker, coef = KLScheduleTracker(kl_target=0.1, kl_target_tolerance=0.05), 1.0
        for step in range(30):
            made = tracker.update(step, 0.2, coef)
            coef *= rise
        assert made.controller_responsiveness == obeyed
        assert made.coef_change_rate == pytest.approx(0.1)
        assert (made.controller_overshoot, made.time_in_target_range) == (pytest.approx(1.0), 0.0)
        assert made.controller_oscillation == 0.0
    for kl, inside in [(0.15, 1.0), (0.1501, 0.0), (0.0499, 0.0), (0.05, 1.0)]:
        tracker = KLScheduleTracker(kl_target=0.1, kl_target_tolerance=0.0500000001)
        assert [tracker.update(step, kl) for step in range(30)][-1].time_in_target_range == inside, kl
    still = KLScheduleTracker()
    for step in range(30):
        made = still.update(step, 0.1, 0.2 * (1 + 1e-10 * step))
    assert (made.controller_responsiveness, made.controller_oscillation) == (None, None)


def test_the_periods_of_a_drift_by_hand() -> None:
    drift = KLDrift(window_size=100)
    for rows, begun, expected in [
        (39, 39, (0, 0)), (40, 40, (20, 20)), (41, 41, (20, 21)), (200, 200, (100, 100)), (500, 500, (100, 100)),
        (500, 50, (50, 100)), (500, 10, (10, 100)), (500, 9, (100, 100)), (29, 10, (0, 0)), (30, 10, (10, 20)),
    ]:  # fmt: skip
        assert drift._periods(rows, begun) == expected, (rows, begun)
    short = KLDrift(window_size=5)
    assert [short._periods(n, n) for n in (9, 10)] == [(0, 0), (5, 5)]


def test_the_direction_of_the_kl() -> None:
    for factor, expected in [(1.26, "rising"), (1.24, "stable"), (1 / 1.26, "falling"), (1 / 1.24, "stable")]:
        drift = KLDrift()
        for step in range(60):
            drift.update(step, 0.1 if step < 50 else 0.1 * factor)
        assert drift.analysis([])["trend"] == expected, factor
    assert KLDrift().analysis([])["trend"] is None


def test_a_window_has_two_rows() -> None:
    for name in ("window_size", "kl_drift_window_size"):
        two: dict[str, Any] = {name: 2}
        ComprehensivePPOForensics(**two)
        with pytest.raises(UsageError, match="a window needs at least 2 rows"):
            ComprehensivePPOForensics(**{**two, name: 1})
