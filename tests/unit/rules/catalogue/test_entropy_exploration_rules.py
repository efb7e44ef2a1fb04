from __future__ import annotations

import math
from typing import Any

import pytest

from rldk.testing import scan_columns


@pytest.mark.parametrize(
    ("values", "first_step"), [([0.01] * 5 + [-0.3] * 5, 6), ([0.01] * 12 + [0.3] * 5, 13), ([-0.1] * 3, 1)]
)
def test_fires(values: list[float], first_step: int) -> None:
    report = scan_columns("ENT010", {"entropy_coef": values})
    assert [f.first_step for f in report.findings] == [first_step]


@pytest.mark.parametrize("values", [[0.01 * 0.9**i for i in range(30)], [0.01] * 12 + [0.02] * 5, [0.0] * 20])
def test_stays_quiet_near_the_limit(values: list[float]) -> None:
    report = scan_columns("ENT010", {"entropy_coef": values})
    assert (report.findings, report.checked) == ((), ("ENT010",))


def test_says_what_is_missing() -> None:
    (check,) = scan_columns("ENT010", {"entropy": [1.0] * 20}).skipped
    assert check.reason == "needs entropy_coef"


def uniform(actions: int, rows: int = 120, wobble: float = 1e-7) -> dict[str, Any]:
    return {"entropy": [math.log(actions) - wobble * (i % 3) for i in range(rows)], "reward_mean": [0.02] * rows}


def test_a_policy_that_stays_uniform_is_named_after_a_hundred_rows() -> None:
    for actions in (2, 7, 64):
        report = scan_columns("ENT013", uniform(actions), algorithm="a2c")
        assert [(f.code, f.first_step) for f in report.findings] == [("ENT013", 100)], actions


def test_a_policy_that_moves_or_is_no_choice_is_not_uniform() -> None:
    fixed = {"entropy": [1.4189385 + 1e-7 * (i % 3) for i in range(120)], "reward_mean": [0.02] * 120}  # a Gaussian
    quiet = [uniform(7, rows=99), uniform(7, wobble=2e-5), fixed, uniform(7) | {"lr": [0.0] * 120}]
    for columns in quiet:
        assert scan_columns("ENT013", columns, algorithm="a2c").findings == ()


def test_a_uniform_policy_needs_a_reward_beside_it() -> None:
    (check,) = scan_columns("ENT013", {"entropy": [1.0] * 20}).skipped
    assert check.reason == "needs reward_mean"
