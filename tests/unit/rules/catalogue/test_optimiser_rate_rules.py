from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]
EPOCHS: list[Any] = [0.1 * i for i in range(8)]
SB3, TRL = {"framework": "sb3"}, {"framework": "trl"}
DQN: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "dqn"}
PPO: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "ppo"}
COLLECTS: Columns = {"reward_mean": [20.0 + i % 2 for i in range(120)], "samples_per_sec": [20.0] * 120}
FLOOR: list[Any] = [max(0.05, 1 - 0.05 * i) for i in range(120)]


@pytest.mark.parametrize(
    ("columns", "options", "first_step"),
    [
        ({"lr": [0.02] * 8}, SB3, 3),
        ({"lr": [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.05, 0.05], "epoch": EPOCHS}, TRL, 7),
    ],
)
def test_a_rate_that_nobody_published(columns: Columns, options: dict[str, Any], first_step: int) -> None:
    (finding,) = scan_columns("OPT015", columns, **options).findings
    assert (finding.first_step, finding.severity) == (first_step, "warn")


@each_of(
    ("columns", "options"),
    [
        ({"lr": [0.01] * 8}, SB3),
        ({"lr": [0.02, 0.02, 0.005] * 3}, SB3),
        ({"lr": [0.03] * 8, "epoch": EPOCHS}, TRL),  # prompt tuning
        ({"lr": [1.5] * 8}, TRL),  # a table, in a loop that took over TRL's names
    ],
)
def test_a_rate_that_somebody_used_is_quiet(columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns("OPT015", columns, **options)
    assert (report.findings, report.checked) == ((), ("OPT015",))


@pytest.mark.parametrize(("rate", "found"), [(10.0, 0), (10.5, 1), (1e308, 1)])
def test_a_loop_of_ones_own_may_have_any_rate_that_an_optimiser_has(rate: float, found: int) -> None:
    assert len(scan_columns("OPT015", {"lr": [rate] * 20}).findings) == found


@pytest.mark.parametrize(
    ("code", "columns", "options", "first_step"),
    [
        ("OPT011", {"lr": [0.0] * 12}, SB3, 10),
        ("OPT010", COLLECTS | {"exploration_rate": FLOOR}, DQN, 29),
        ("OPT010", COLLECTS, {"algorithm": "sac", "total_steps": 150}, 100),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, "warn")]


@pytest.mark.parametrize(
    ("code", "columns", "options"),
    [
        ("OPT011", {"lr": [0.0] * 5 + [1e-6] * 20}, SB3),  # warm-up
        ("OPT010", COLLECTS, {"algorithm": "sac"}),  # still warming up
        ("OPT010", COLLECTS | {"exploration_rate": FLOOR, "loss": [None] * 25 + [0.5] * 95}, DQN),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("OPT011", {"lr": [0.0] * 20}, {"framework": "verl"}, "a learning rate of 0 may be a rounded one"),
        ("OPT011", {"loss": [1.0] * 20}, SB3, "needs lr or lr_value"),
        ("OPT010", {"reward_mean": FLOOR}, DQN, "needs samples_per_sec"),
        ("OPT010", {"reward_mean": FLOOR}, SB3, "defined for ddpg, dqn, sac, td3"),
        ("OPT010", {"reward_mean": FLOOR}, PPO, "defined for ddpg, dqn, sac, td3"),
        ("OPT015", {"loss": [0.5] * 30}, PPO, "needs lr"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)
