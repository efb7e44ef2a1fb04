from __future__ import annotations

import random
from typing import Any

import pytest
from examples import each_of

from rldk.core.model import COUNTED
from rldk.testing import scan_columns

Column = list[Any]
MONITOR: dict[str, Any] = {"names": {"reward_mean": "r", "response_length_mean": "l"}}
DQN: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "dqn"}


def course(*legs: tuple[int, float], noise: float = 0.02, seed: int = 1) -> Column:
    """Straight legs of so many rows, each to a level, from 0."""
    rng, at, out = random.Random(seed), 0.0, []
    for rows, level in legs:
        out += [at + (level - at) * (i + 1) / rows + rng.gauss(0, noise) for i in range(rows)]
        at = level
    return [*out]


RISE = ((10, 0.0), (40, 1.0), (20, 1.0))
LOST = course(*RISE, (5, 0.3), (40, 0.3))
GONE = course(*RISE, (5, 0.0), (70, 0.0))
DIP = course(*RISE, (4, 0.0), (12, 0.0), (4, 1.0), (40, 1.0))
PLUNGE = course((10, 0.3), (20, 1.0), (10, 1.0), (1, -0.4), (6, -0.4))
SHORT = [0.1, 0.2, 0.5, 0.7, 0.72, 0.71, 0.7, 0.05, 0.06, 0.04, 0.05, 0.06, 0.05]
EPISODES = course((50, 0.0), (100, 1.0), (100, 1.0), (5, 0.2), (130, 0.2), noise=0.1)
PHASE: dict[str, Any] = {"phase": ["eval"] * len(LOST)}


@each_of(
    ("code", "name", "column", "options", "expected"),
    [
        ("REW012", "reward_mean", LOST, {}, (99, "warn")),
        ("REW012", "rollout/success_rate", LOST, {}, (99, "warn")),
        ("REW012", "eval_reward_mean", LOST, {}, (99, "warn")),
        ("REW012", "return_mean", LOST, {}, (99, "warn")),
        ("REW012", "elo", [1200 + 500 * x for x in LOST], {}, (99, "warn")),
        ("REW012", "reward_mean", GONE, {}, (98, "critical")),
        ("REW012", "reward_mean", PLUNGE, {}, (46, "warn")),
        ("REW012", "reward_mean", SHORT, {}, (12, "warn")),
        ("REW020", "reward_mean", EPISODES, MONITOR, (346, "warn")),
        ("REW020", "reward_mean", EPISODES, DQN, (346, "warn")),
        ("REW021", "eval_reward_mean", LOST, PHASE, (99, "warn")),
    ],
)
def test_fires(code: str, name: str, column: Column, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, {name: column}, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "column", "options"),
    [
        ("REW012", DIP, {}),
        ("REW012", course(*RISE, (5, 0.7), (40, 0.7)), {}),  # a third of the gain is lost
        ("REW012", course((100, 0.0), noise=1.0), {}),  # never rose
        ("REW012", [100.0 + x for x in LOST if x is not None], {}),  # a gain of one percent
        ("REW012", course((5, 0.0), (1, 1.0), (8, 1.0), (1, 0.2), (60, 0.2)), {}),  # an early peak of nine rows
        ("REW012", [*SHORT[:9], *[0.7] * 12], {}),
        ("REW012", [0.34, 0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.3, 0.39, 0.36, 0.41, 0.35, 0.34], {}),  # of a few games each
        ("REW020", EPISODES[:320], MONITOR),
    ],
)
def test_stays_quiet_near_the_limit(code: str, column: Column, options: dict[str, Any]) -> None:
    assert scan_columns(code, {"reward_mean": column}, **options).findings == ()


def test_the_target_of_a_critic_is_not_a_second_return() -> None:
    report = scan_columns("REW012", {"reward_mean": course((115, 1.0)), "return_mean": LOST})
    assert report.findings == ()


@each_of(
    ("code", "options", "reason"),
    [
        ("REW012", {}, "needs reward_mean or return_mean"),
        ("REW012", MONITOR, "each row is one episode"),
        ("REW012", {"algorithm": "sft"}, "defined for"),
        ("REW020", {}, "defined for logs whose rows"),
        ("REW021", {}, "needs eval_reward_mean"),
    ],
)
def test_says_what_is_missing(code: str, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, {"kl": [1.0] * 30}, **options).skipped
    assert check.reason.startswith(reason)


@pytest.mark.parametrize(("size", "severity"), [(0.02, "warn"), (0.3, "critical")])
def test_a_success_rate_that_gained_a_few_hundredths_is_no_proof(size: float, severity: str) -> None:
    rate = [max(0.0, size * x) for x in GONE]
    assert [f.severity for f in scan_columns("REW012", {"episode_success_rate": rate}).findings] == [severity]


def test_a_gain_of_a_fifth_that_is_lost_is_no_proof() -> None:
    gone = [1.0 + 0.25 * x for x in GONE]
    assert {f.severity for f in scan_columns("REW012", {"reward_mean": gone}).findings} == {"warn"}


def test_a_list_of_rewards_and_nothing_else_is_one_of_episodes() -> None:
    bare = {"names": {"reward_mean": "Total Reward"}, "clock": COUNTED}
    assert scan_columns("REW012", {"reward_mean": LOST}, **bare).findings == ()
    assert [f.code for f in scan_columns("REW020", {"reward_mean": EPISODES}, **bare).findings] == ["REW020"]


@pytest.mark.parametrize(("noise", "found"), [(0.02, 1), (0.3, 0)])
def test_single_episodes_prove_a_fall_that_is_far_above_their_noise(noise: float, found: int) -> None:
    lost = course(*RISE, (5, 0.2), (40, 0.2), noise=noise)
    columns = {"reward_mean": lost, "episode_count": [*map(float, range(len(lost)))]}
    assert len(scan_columns("REW012", columns).findings) == found
