"""Agents that found one safe action, and rewards of the training's own making that vanish."""

from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

SB3: dict[str, Any] = {
    "framework": "stable_baselines3",
    "algorithm": "a2c",
    "names": {"response_length_mean": "rollout/ep_len_mean", "reward_mean": "rollout/ep_rew_mean"},
}
Column = list[Any]
WAITS: Column = [100.0 + i % 3 for i in range(30)] + [420.0 + i for i in range(40)]
FLAT: Column = [3.5 + 0.1 * (i % 3) for i in range(70)]


@each_of(
    ("length", "reward", "steps"),
    [
        (WAITS, FLAT, [43]),  # eleven of twenty rows are long, on three rows running
        (WAITS, [float(x or 0) for x in WAITS], []),  # paid for each step
        ([100.0 + i % 3 for i in range(70)], FLAT, []),
        ([x / 1.2 if i >= 30 and x is not None else x for i, x in enumerate(WAITS)], FLAT, []),  # below four times
    ],
)
def test_episodes_that_grow_for_nothing(length: Column, reward: Column, steps: list[int]) -> None:
    found = scan_columns("LEN010", {"response_length_mean": length, "reward_mean": reward}, **SB3).findings
    assert [f.first_step for f in found] == steps


def test_responses_may_grow_at_one_reward() -> None:
    columns = {"response_length_mean": WAITS, "reward_mean": FLAT}
    (check,) = scan_columns("LEN010", columns, algorithm="grpo", names={"response_length_mean": "length"}).skipped
    assert check.status == "not_applicable"


@pytest.mark.parametrize(("end", "found"), [(0.9e-6, 1), (1.1e-6, 0), (0.0, 0)])
def test_a_reward_of_its_own_that_vanishes(end: float, found: int) -> None:
    columns: dict[str, Column] = {"reward_intrinsic_mean": [1.0, 0.5, *[end] * 14]}
    assert len(scan_columns("REW025", columns, algorithm="ppo").findings) == found


LOSES: Column = [-95.9, -97.9, *[-100.0] * 40]
CERTAIN: Column = [7.5] * 10 + [0.3] * 32


@each_of(
    ("reward", "entropy", "steps"),
    [
        (LOSES, CERTAIN, [24]),
        ([-x for x in LOSES if x is not None], CERTAIN, []),  # stands at its best
        (LOSES, [7.5] * 42, []),  # it still explores
        ([-100.0] * 42, CERTAIN, []),  # never anything else: REW001
        ([*LOSES[:-1], -101.0], CERTAIN, [24]),
    ],
)
def test_a_policy_that_settles_on_the_worst(reward: Column, entropy: Column, steps: list[int]) -> None:
    found = scan_columns("REW026", {"reward_mean": reward, "entropy": entropy}, algorithm="ppo").findings
    assert [f.first_step for f in found] == steps


@pytest.mark.parametrize(
    ("code", "needs"),
    [("LEN010", "response_length_mean"), ("REW025", "reward_intrinsic_mean"), ("REW026", "reward_mean")],
)
def test_what_is_missing_is_said(code: str, needs: str) -> None:
    (check,) = scan_columns(code, {"kl": [1.0] * 9}, **SB3).skipped
    assert needs in check.reason
