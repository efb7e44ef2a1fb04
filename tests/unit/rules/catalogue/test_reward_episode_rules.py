from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

SB3: dict[str, Any] = {"framework": "sb3", "algorithm": "ppo"}
LENGTH = [20.0 + i for i in range(40)]
BY_STEP = [*LENGTH[:25], *[10.0 * x for x in LENGTH[25:]]]
WORSE = [24.0 - 0.5 * min(i, 26) + 0.2 * (i % 3) for i in range(60)]
Columns = dict[str, Any]
FLAT: list[Any] = [20.0 + i % 2 for i in range(120)]


def test_pay_that_was_constant_and_is_not() -> None:
    (finding,) = scan_columns("REW017", {"reward_mean": BY_STEP, "response_length_mean": LENGTH}, **SB3).findings
    assert (finding.first_step, finding.metric) == (28, "reward_mean")


def test_pay_that_was_exact_on_few_rows_and_is_not() -> None:
    pay = [*LENGTH[:6], *[0.5 * x for x in LENGTH[6:12]]]
    (finding,) = scan_columns("REW017", {"reward_mean": pay, "response_length_mean": LENGTH[:12]}, **SB3).findings
    assert finding.first_step == 9


def test_a_running_mean_without_a_new_episode_is_not_exact() -> None:
    columns = {"reward_mean": [-35.6] * 6 + [-21.2] * 6, "response_length_mean": [999.0] * 12}
    assert scan_columns("REW017", columns, **SB3).findings == ()


@pytest.mark.parametrize("pay", [[x * (1 + 0.01 * (i % 2)) for i, x in enumerate(LENGTH)], [5.0] * 40])
def test_pay_that_stays_or_always_varied_is_quiet(pay: list[float]) -> None:
    report = scan_columns("REW017", {"reward_mean": pay, "response_length_mean": LENGTH}, **SB3)
    assert (report.findings, report.checked) == ((), ("REW017",))


def test_pay_needs_returns_and_lengths_of_an_environment() -> None:
    (check,) = scan_columns("REW017", {"reward_mean": BY_STEP}, **SB3).skipped
    assert check.reason == "needs reward_per_step"
    (check,) = scan_columns("REW017", {"reward_mean": BY_STEP, "response_length_mean": LENGTH}).skipped
    assert check.status == "not_applicable"


def test_a_policy_worse_than_at_its_start() -> None:
    assert [f.first_step for f in scan_columns("REW016", {"reward_mean": WORSE}, **SB3).findings] == [25]


@pytest.mark.parametrize(
    ("reward", "options"),
    [
        ([24.0 + 0.5 * i if i < 10 else 24.0 - 0.5 * min(i, 26) for i in range(60)], SB3),
        ([24.0 - 0.1 * min(i, 26) for i in range(60)], SB3),
    ],
)
def test_a_policy_that_was_better_or_barely_worse_is_quiet(reward: list[float], options: dict[str, Any]) -> None:
    report = scan_columns("REW016", {"reward_mean": reward}, **options)
    assert (report.findings, report.checked) == ((), ("REW016",))


def test_a_value_based_agent_may_be_worse_than_chance() -> None:
    (check,) = scan_columns("REW016", {"reward_mean": WORSE}, framework="sb3", algorithm="dqn").skipped
    assert check.status == "not_applicable"


def test_a_critic_that_knew_and_forgot() -> None:
    explained = [0.9] * 30 + [-0.1] * 20
    columns = {"value_loss": [0.01] * 30 + [0.5] * 20, "value_explained_variance": explained}
    assert [f.first_step for f in scan_columns("VAL003", columns, **SB3).findings] == [34]


def test_a_ratio_that_stands_still_within_rounding() -> None:
    ratio = [1.0 + 0.002 * (-1) ** i for i in range(20)] + [1.0 + 3e-8 * (-1) ** i for i in range(10)]
    kl = [1e-4 * (1 + i % 3) for i in range(20)] + [3e-15] * 10
    assert [f.first_step for f in scan_columns("OPT001", {"ratio_mean": ratio, "kl_policy_update": kl}).findings] == [
        23
    ]
    exactly = [*ratio[:20], *[1.0] * 10]
    assert [f.first_step for f in scan_columns("OPT001", {"ratio_mean": exactly}).findings] == [25]


def test_a_policy_loss_that_was_zero_by_construction() -> None:
    columns = {"policy_loss": [1e-17 * (-1) ** i for i in range(20)] + [-0.36] * 5}
    assert [f.first_step for f in scan_columns("ADV004", columns, algorithm="grpo").findings] == [22]
    assert scan_columns("ADV004", {"policy_loss": [1e-3] * 12 + [-0.36] * 9}, algorithm="grpo").findings == ()


def test_a_log_of_environments_that_does_not_say_of_which_algorithm_is_not_looked_at() -> None:
    (check,) = scan_columns("REW016", {"reward_mean": WORSE}, framework="sb3").skipped
    assert check.status == "not_applicable"


@pytest.mark.parametrize(
    ("code", "columns", "options", "first_step"),
    [
        ("REW015", {"reward_mean": [60.0] * 30, "response_length_mean": [200.0] * 30}, SB3, 20),
        ("REW015", {"reward_mean": [0.0] * 30, "response_length_mean": [500.0] * 30}, SB3, 20),
    ],
)
def test_a_return_that_never_varies(code: str, columns: Columns, options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, "warn")]


@pytest.mark.parametrize(
    ("code", "columns", "options"),
    [
        ("REW015", {"reward_mean": [-500.0] * 30, "response_length_mean": [500.0] * 30}, SB3),  # never solved
        ("REW015", {"reward_mean": [0.0] * 19 + [0.1] * 20, "response_length_mean": [50.0] * 39}, SB3),
    ],
)
def test_a_return_that_counts_steps_or_varies_is_quiet(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("code", "columns", "options", "reason"),
    [
        ("REW015", {"reward_mean": FLAT}, SB3, "needs response_length_mean"),
        ("REW015", {"reward_mean": FLAT, "response_length_mean": FLAT}, {}, "defined for environments"),
    ],
)
def test_a_return_needs_lengths_of_an_environment(
    code: str, columns: Columns, options: dict[str, Any], reason: str
) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


@pytest.mark.parametrize(("level", "wobble", "found"), [(-0.364, 0.001, 1), (-0.364, 0.004, 0), (0.364, 0.001, 0)])
def test_a_negative_return_that_hardly_varies_never_varies(level: float, wobble: float, found: int) -> None:
    columns: dict[str, list[float | None]] = {
        "reward_mean": [level + wobble * (i % 2) for i in range(110)],
        "response_length_mean": [300.0] * 110,
    }
    assert len(scan_columns("REW015", columns, framework="stable_baselines3").findings) == found
