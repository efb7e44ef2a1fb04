from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

Columns = dict[str, list[float | None]]

DQN: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "dqn"}
PPO: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "ppo"}
SAC: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "sac"}
N = 120
FLAT: list[float | None] = [20.0 + i % 2 for i in range(N)]
FLOOR: list[float | None] = [max(0.05, 1 - 0.05 * i) for i in range(N)]
GROWS: list[float | None] = [1.05**i for i in range(N)]


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
