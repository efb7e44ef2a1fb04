from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import noisy_column, scan_columns

FLAT = noisy_column(0.5, 60, 2)
JUMP = noisy_column(1.0, 40) + noisy_column(4.0, 20)
FASTER = [330.0 + 0.8 * i for i in range(40)] + [362.0 + 14.0 * i for i in range(30)]  # one way all the time
RISING = [x + 0.04 * max(0, min(10, i - 40)) for i, x in enumerate(noisy_column(0.2, 60))]


@pytest.mark.parametrize(
    ("columns", "first_step"),
    [
        ({"reward_mean": noisy_column(0.9, 40) + noisy_column(180.0, 20)}, 43),
        ({"reward_mean": FLAT, "reward_std": JUMP}, 43),
        ({"reward_mean": noisy_column(0.5, 60, 3, 0.01) + noisy_column(0.5, 20, 4, 0.9)}, 66),
    ],
)
def test_fires(columns: dict[str, Any], first_step: int) -> None:
    report = scan_columns("REW005", columns)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [("REW005", first_step, "warn")]


@pytest.mark.parametrize(
    "columns",
    [
        {"reward_mean": RISING, "reward_std": noisy_column(0.2, 40) + noisy_column(0.4, 20)},
        {"reward_mean": [0.0] * 30 + [min(1.0, 0.05 * i) for i in range(30)], "reward_std": FLAT},
        {"reward_mean": FASTER},
    ],
)
def test_stays_quiet_near_the_limit(columns: dict[str, Any]) -> None:
    report = scan_columns("REW005", columns)
    assert (report.findings, report.checked) == ((), ("REW005",))


def test_says_what_is_missing() -> None:
    (check,) = scan_columns("REW005", {"loss": JUMP}).skipped
    assert check.reason.startswith("needs reward_mean")


@pytest.mark.parametrize(("key", "worst"), [("rewards/mean", "warn"), ("ep_reward_mean", None)])
def test_a_return_that_takes_off(key: str, worst: str | None) -> None:
    columns = {"reward_mean": [0.1 * (i % 2) for i in range(30)] + [9.0, 9.1, 9.2]}
    assert scan_columns("REW005", columns, names={"reward_mean": key}).worst() == worst


@pytest.mark.parametrize(("beside", "worst"), [({}, None), ({"kl": [0.01] * 80}, "warn")])
def test_a_return_beside_a_critic_spreads_as_the_agent_lives_longer(beside: dict[str, Any], worst: str | None) -> None:
    reward = noisy_column(0.5, 60, 3, 0.01) + noisy_column(0.5, 20, 4, 0.9)
    columns = {"reward_mean": reward, "value_loss": [0.1] * 80, "policy_loss": [0.0] * 80, **beside}
    names = {"reward_mean": "rew", "value_loss": "vl_loss", "policy_loss": "pg_loss", "kl": "kl"}
    assert scan_columns("REW005", columns, names=names).worst() == worst


def test_a_list_of_rewards_is_not_one_of_batches() -> None:
    columns: dict[str, Any] = {"reward_mean": noisy_column(0.5, 60, 3, 0.01) + noisy_column(0.5, 20, 4, 0.9)}
    (check,) = scan_columns("REW005", columns, names={"reward_mean": "reward"}).skipped
    assert check.status == "not_applicable"
