from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from rldk.adapters.open import open_runs
from rldk.forensics import ComprehensivePPOForensics
from rldk.forensics.kl_drift import KLDrift


def analysis(kl: Sequence[float], **options: object) -> dict[str, object]:
    forensics = ComprehensivePPOForensics(**options)  # type: ignore[arg-type]
    for i, x in enumerate(kl):
        forensics.update(i, x, 0.2, 2.0, 0.5 + 0.001 * (i % 5))
    return forensics.get_kl_drift_analysis()


def noise(level: Callable[[int], float], n: int = 160) -> list[float]:
    z = np.random.default_rng(0).normal(size=n)
    return [level(i) * float(np.exp(0.05 * z[i])) for i in range(n)]


def test_a_kl_that_stays_has_not_drifted() -> None:
    found = analysis(noise(lambda i: 0.1))
    assert (found["detected"], found["status"], found["trend"]) == (False, "ok", "stable")
    assert 0 <= found["score"] < 0.1  # type: ignore[operator]
    assert (found["reference_steps"], found["current_steps"]) == ([0, 79], [80, 159])


def test_a_kl_that_jumps_has_drifted_since_then() -> None:
    found = analysis(noise(lambda i: 0.1 if i < 90 else 0.5))
    assert (found["detected"], found["drift_start_step"]) == (True, 92)
    assert found["score"] > 0.5  # type: ignore[operator]  # the newest 80 rows begin ten rows before the jump
    assert [a["type"] for a in found["anomalies"]] == ["kl_drift_anomaly"]  # type: ignore[attr-defined]
    assert found["current_median"] == pytest.approx(0.5, rel=0.1)


def test_the_window_and_the_trend_follow_the_newest_rows() -> None:
    found = analysis(noise(lambda i: 0.1 if i < 150 else 0.5), kl_drift_window_size=20)
    assert (found["reference_steps"], found["current_steps"]) == ([0, 19], [140, 159])
    assert found["trend"] == "rising"


@pytest.mark.slow
def test_a_drift_that_is_over_is_remembered_and_a_spike_is_none() -> None:
    over = analysis(noise(lambda i: 0.5 if 60 <= i < 100 else 0.1), kl_drift_window_size=50)
    spike = analysis(noise(lambda i: 0.5 if 60 <= i < 64 else 0.1), kl_drift_window_size=50)
    assert (over["detected"], over["ongoing"], over["drift_start_step"]) == (True, False, 62)
    assert over["score"] < 0.15  # type: ignore[operator]
    assert spike["detected"] is False


@pytest.mark.slow
def test_only_a_finding_makes_a_drift_and_the_threshold_only_takes_away() -> None:
    slow = noise(lambda i: 0.05 * 1.01**i)  # far from where it began, on its own course all the way
    jump = noise(lambda i: 0.1 if i < 90 else 0.5)
    found = analysis(slow, kl_target=None)
    assert (found["detected"], found["score"] > 0.5) == (False, True)  # type: ignore[operator]
    assert analysis(jump, kl_drift_threshold=0.0)["detected"] is True
    assert analysis(jump, kl_drift_threshold=1.01)["detected"] is False


def test_too_few_rows_and_no_kl_at_all() -> None:
    few, none = analysis([0.1] * 39), analysis([math.nan] * 50)
    assert (few["status"], few["score"], few["reference_steps"]) == ("too_early", None, None)
    assert (none["status"], none["detected"], none["rows"]) == ("no_data", False, 0)


def test_a_reference_that_is_constant_has_no_scale() -> None:
    drift = KLDrift(window_size=20)
    for i in range(60):
        drift.update(i, 0.1)
    found = drift.analysis([])
    assert (found["score"], found["divergence"], found["reference_std"]) == (0.0, None, pytest.approx(0.0))


def test_genuine_runs_are_judged_by_what_their_logs_say_of_themselves() -> None:
    (run,) = open_runs("tests/fixtures/trl-ppo")
    found = ComprehensivePPOForensics.of_run(run, reference_period=20)
    drift = found.get_kl_drift_analysis()
    assert (drift["detected"], drift["reference_steps"]) == (False, [1, 20])
    assert found.kl_target is None
