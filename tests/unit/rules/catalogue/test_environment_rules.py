from __future__ import annotations

import pytest

from rldk.testing import scan_columns


@pytest.mark.parametrize("metric", ["observation_nonfinite_frac", "reward_nonfinite_frac"])
def test_one_number_that_is_not_finite_is_enough(metric: str) -> None:
    (finding,) = scan_columns("ENV003", {metric: [0.0, 0.0, 0.01, 0.0]}).findings
    assert (finding.first_step, finding.severity, finding.tier) == (3, "warn", 0)
    assert metric.partition("_")[0] in finding.message


def test_finite_observations_are_quiet() -> None:
    assert scan_columns("ENV003", {"observation_nonfinite_frac": [0.0] * 5}).findings == ()


def test_actions_at_a_bound_fire_on_the_fifth_row() -> None:
    (finding,) = scan_columns("ENV004", {"action_bound_frac": [0.6] * 8}).findings
    assert (finding.first_step, finding.severity) == (5, "info")


@pytest.mark.parametrize("column", [[0.5] * 8, [0.6, 0.6, 0.6, 0.6, 0.4] * 3])
def test_actions_stay_quiet_near_the_limit(column: list[float | None]) -> None:
    assert scan_columns("ENV004", {"action_bound_frac": column}).findings == ()


@pytest.mark.parametrize(
    ("code", "metric"), [("ENV003", "observation_nonfinite_frac"), ("ENV004", "action_bound_frac")]
)
def test_says_what_is_missing(code: str, metric: str) -> None:
    (check,) = scan_columns(code, {"kl": [0.1] * 8}).skipped
    assert metric in check.reason
