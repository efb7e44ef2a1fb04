from __future__ import annotations

import math
from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

DQN: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "dqn"}
PPO: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "ppo"}
SAC: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "sac"}
N = 120
FLAT: list[Any] = [20.0 + i % 2 for i in range(N)]
FLOOR: list[Any] = [max(0.05, 1 - 0.05 * i) for i in range(N)]
GROWS: list[Any] = [1.05**i for i in range(N)]


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("ENT009", {"exploration_rate": [1.0] * 40}, DQN, 30),
        ("ENT009", {"exploration_rate": [0.51] * 30}, DQN, 30),
        ("ENT010", {"entropy_coef": [0.01] * 5 + [-0.3] * 5}, {}, 6),
        ("ENT010", {"entropy_coef": [0.01] * 12 + [0.3] * 5}, {}, 13),
        ("ENT010", {"entropy_coef": [-0.1] * 3}, {}, 1),
        ("ENT011", {"reward_mean": FLAT, "train/std": GROWS}, PPO, 38),
        ("ENT011", {"reward_mean": FLAT, "entropy_coef": GROWS}, SAC, 38),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, "warn")]


@each_of(
    ("code", "columns", "options"),
    [
        ("ENT009", {"exploration_rate": [0.05] * 40}, DQN),
        ("ENT009", {"exploration_rate": FLOOR}, DQN),
        ("ENT009", {"exploration_rate": [0.5] * 40}, DQN),
        ("ENT009", {"exploration_rate": [1.0] * 29}, DQN),
        ("ENT010", {"entropy_coef": [0.01 * 0.9**i for i in range(30)]}, {}),
        ("ENT010", {"entropy_coef": [0.01] * 12 + [0.02] * 5}, {}),
        ("ENT010", {"entropy_coef": [0.0] * 20}, {}),
        ("ENT011", {"reward_mean": FLAT, "train/std": [4.9] * N}, PPO),
        ("ENT011", {"reward_mean": [0.5 * i for i in range(N)], "train/std": GROWS}, PPO),  # it pays
        ("ENT011", {"reward_mean": FLAT, "entropy_coef": [0.97**i for i in range(N)]}, SAC),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("code", "columns", "options", "reason"),
    [
        ("ENT009", {"reward_mean": FLAT}, DQN, "needs exploration_rate"),
        ("ENT010", {"entropy": [1.0] * 20}, {}, "needs entropy_coef"),
        ("ENT011", {"reward_mean": FLAT}, PPO, "needs train/std or entropy_coef"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


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
