from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

Columns = dict[str, list[float | None]]

SB3: dict[str, Any] = {"framework": "stable_baselines3"}
DQN: dict[str, Any] = {**SB3, "algorithm": "dqn"}
PPO: dict[str, Any] = {**SB3, "algorithm": "ppo"}
N = 120
FLAT: list[float | None] = [20.0 + i % 2 for i in range(N)]
FLOOR: list[float | None] = [max(0.05, 1 - 0.05 * i) for i in range(N)]
GROWS: list[float | None] = [1.05**i for i in range(N)]


@pytest.mark.parametrize(
    ("code", "columns", "options", "first_step"),
    [
        ("OPT011", {"lr": [0.0] * 12}, SB3, 10),
        ("OPT010", {"reward_mean": FLAT, "samples_per_sec": FLAT, "exploration_rate": FLOOR}, DQN, 29),
        ("ENT009", {"exploration_rate": [1.0] * 40}, DQN, 30),
        ("ENT009", {"exploration_rate": [0.51] * 30}, DQN, 30),
        ("REW015", {"reward_mean": [60.0] * 30, "response_length_mean": [200.0] * 30}, SB3, 20),
        ("REW015", {"reward_mean": [0.0] * 30, "response_length_mean": [500.0] * 30}, SB3, 20),
        ("OPT010", {"reward_mean": FLAT, "samples_per_sec": FLAT}, {"algorithm": "sac", "total_steps": 150}, 100),
        ("ENT011", {"reward_mean": FLAT, "train/std": GROWS}, PPO, 38),
        ("ENT011", {"reward_mean": FLAT, "entropy_coef": GROWS}, {**SB3, "algorithm": "sac"}, 38),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, "warn")]


@pytest.mark.parametrize(
    ("code", "columns", "options"),
    [
        ("OPT011", {"lr": [0.0] * 5 + [1e-6] * 20}, SB3),  # warm-up
        ("OPT010", {"reward_mean": FLAT, "samples_per_sec": FLAT}, {"algorithm": "sac"}),  # still warming up
        (
            "OPT010",
            {"reward_mean": FLAT, "samples_per_sec": FLAT, "exploration_rate": FLOOR, "loss": [None] * 25 + [0.5] * 95},
            DQN,
        ),
        ("ENT011", {"reward_mean": FLAT, "train/std": [4.9] * N}, PPO),
        ("ENT009", {"exploration_rate": [0.05] * 40}, DQN),
        ("ENT009", {"exploration_rate": FLOOR}, DQN),
        ("ENT009", {"exploration_rate": [0.5] * 40}, DQN),
        ("ENT009", {"exploration_rate": [1.0] * 29}, DQN),
        ("REW015", {"reward_mean": [-500.0] * 30, "response_length_mean": [500.0] * 30}, SB3),  # never solved
        ("REW015", {"reward_mean": [0.0] * 19 + [0.1] * 20, "response_length_mean": [50.0] * 39}, SB3),
        ("ENT011", {"reward_mean": [0.5 * i for i in range(N)], "train/std": GROWS}, PPO),  # it pays
        ("ENT011", {"reward_mean": FLAT, "entropy_coef": [0.97**i for i in range(N)]}, {**SB3, "algorithm": "sac"}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("code", "columns", "options", "reason"),
    [
        ("OPT011", {"lr": [0.0] * 20}, {"framework": "verl"}, "a learning rate of 0 may be a rounded one"),
        ("OPT011", {"loss": [1.0] * 20}, SB3, "needs lr or lr_value"),
        ("OPT010", {"reward_mean": FLAT}, DQN, "needs samples_per_sec"),
        ("OPT010", {"reward_mean": FLAT}, SB3, "defined for ddpg, dqn, sac, td3"),
        ("OPT010", {"reward_mean": FLAT}, PPO, "defined for ddpg, dqn, sac, td3"),
        ("ENT009", {"reward_mean": FLAT}, DQN, "needs exploration_rate"),
        ("REW015", {"reward_mean": FLAT}, SB3, "needs response_length_mean"),
        ("REW015", {"reward_mean": FLAT, "response_length_mean": FLAT}, {}, "defined for environments"),
        ("ENT011", {"reward_mean": FLAT}, PPO, "needs train/std or entropy_coef"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)
