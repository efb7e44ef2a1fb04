from __future__ import annotations

import random
from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]
GRPO: dict[str, Any] = {"algorithm": "grpo"}


def around(*legs: tuple[int, float], noise: float = 0.1) -> list[Any]:
    rng = random.Random(2)
    return [level + rng.gauss(0, noise) for rows, level in legs for _ in range(rows)]


FLAT = {"reward_mean": around((450, 0.3))}
DECIDED: Columns = {"reward_mean": around((20, -35), (130, -25), noise=20), "entropy": [4.7] * 30 + [0.5] * 120}
FROZEN: Columns = {"reward_mean": [0.1 * i for i in range(40)] + [0.5] * 40}


@each_of(
    ("code", "columns", "options", "expected"),
    [
        ("REW022", FLAT, GRPO, [(253, "warn")]),
        ("REW022", FLAT, GRPO | {"total_steps": 600}, [(253, "warn")]),
        ("REW027", DECIDED, {"algorithm": "ppo", "framework": "mlagents"}, [(102, "warn")]),
        ("REW023", FROZEN, {}, [(67, "warn")]),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: list[tuple[int, str]]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.first_step, f.severity) for f in report.findings] == expected


@each_of(
    ("code", "columns", "options"),
    [
        ("REW022", {"reward_mean": around((100, 0.3), (350, 0.45))}, GRPO),  # has risen
        ("REW022", {"reward_mean": around((450, 0.95), noise=0.01)}, GRPO),  # solved from the start
        ("REW027", DECIDED | {"reward_mean": around((20, -35), (130, 25), noise=20)}, GRPO),  # learnt
        ("REW027", DECIDED | {"entropy": [1.0] * 30 + [0.1] * 120}, GRPO),
        (  # an agent that still acts by chance
            "REW022",
            FLAT | {"exploration_rate": [1 - i / 600 for i in range(450)]},
            {"algorithm": "dqn", "framework": "sb3"},
        ),
        ("REW022", FLAT | {"elo": [1200.0 + i for i in range(450)]}, {"algorithm": "ppo", "framework": "mlagents"}),
        ("REW027", DECIDED | {"elo": [1200.0 + i for i in range(150)]}, {"algorithm": "ppo", "framework": "mlagents"}),
        ("REW022", {"reward_mean": [1.0] * 450}, GRPO),
        ("REW022", {"reward_mean": around((190, 0.3))}, GRPO),  # too early
        ("REW022", FLAT, GRPO | {"step": [*range(5000, 5450)]}),  # goes on from an earlier run
        ("REW023", {"reward_mean": [0.1 * i for i in range(40)] + [3.9] * 40}, {}),  # at its best
        ("REW023", {"reward_mean": [22.0 + i % 3 for i in range(30)] + [9.5] * 40}, {}),  # never was better
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    assert scan_columns(code, columns, **options).findings == ()


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("REW022", {"kl": [1.0] * 30}, GRPO, "needs reward_mean"),
        ("REW022", FLAT, {}, "this log does not say which algorithm"),
        ("REW023", {"kl": [1.0] * 30}, {}, "needs reward_mean"),
        ("REW027", FLAT, GRPO, "needs entropy"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def test_a_reward_beside_a_loss_is_what_a_policy_learns_from() -> None:
    columns: dict[str, Any] = {"reward_mean": [0.13 + 0.01 * (i % 3) for i in range(450)]}
    assert scan_columns("REW022", columns, names={"reward_mean": "reward"}).findings == ()
    names = {"reward_mean": "reward", "loss": "loss"}
    assert scan_columns("REW022", {**columns, "loss": [0.5] * 450}, names=names).worst() == "warn"


@pytest.mark.parametrize("beside", [{"exploration_rate": 0.99}, {"lr": 1.0}, {"generation_time": 1.0}])
def test_a_rate_or_the_time_of_a_rollout_says_that_something_is_trained(beside: dict[str, float]) -> None:
    columns: Columns = {"reward_mean": around((450, -17), noise=2)}
    for name, decay in beside.items():
        columns[name] = [decay**i for i in range(450)]
    report = scan_columns("REW022", columns, names={name: name for name in columns})
    assert [f.severity for f in report.findings] == ["warn"]


def test_a_single_lucky_start_is_no_level_to_fall_from() -> None:
    reward: list[Any] = [0.0, 0.65, 0.29, *[0.12 + 0.001 * (i % 2) for i in range(60)]]
    assert scan_columns("REW023", {"reward_mean": reward}, algorithm="dqn").findings == ()


VARIES: list[Any] = [0.1 * (i * 7 % 5) for i in range(60)]


@each_of(
    ("score", "reward", "expected"),
    [
        ([0.5, 0.6, 0.7] + [0.45] * 12, VARIES, [13]),
        ([0.5, 0.6, 0.7] + [0.45] * 9, VARIES, []),
        ([0.5, 0.6, 0.54] + [0.51] * 12, VARIES, []),  # hardly below
        ([0.5, 0.6, 0.7] + [0.0] * 12, VARIES, []),  # a hard task, found once
        ([0.5] * 10 + [0.7] * 10 + [0.45] * 25, VARIES, []),  # evaluated every tenth row
        ([0.5] * 10 + [0.7] * 10 + [0.45] * 35, VARIES, [50]),
        ([0.5, 0.6, 0.7] + [0.45] * 12, [1.0] * 60, []),  # nothing new is logged
    ],
)
def test_a_score_that_stands_still(score: list[Any], reward: list[Any], expected: list[int]) -> None:
    report = scan_columns("REW028", {"pass_at_k": score, "reward_mean": reward[: len(score)]}, algorithm="reinforce")
    assert [f.first_step for f in report.findings] == expected


def test_a_score_needs_a_reward_beside_it() -> None:
    (check,) = scan_columns("REW028", {"pass_at_k": [0.5] * 20}).skipped
    assert check.reason == "needs reward_mean"


def test_a_mean_that_waits_for_the_next_episode_has_not_frozen() -> None:
    episodes = [8.0, 9.0, *(40.0 + i % 5 for i in range(30)), *(9.0 + i % 3 for i in range(8))]
    report = scan_columns("REW023", {"reward_mean": [x for x in episodes for _ in range(30)]}, algorithm="ppo")
    assert report.findings == ()
    stands = [x for x in episodes for _ in range(30)] + [9.0] * 100
    report = scan_columns("REW023", {"reward_mean": stands}, algorithm="ppo")
    assert [f.severity for f in report.findings] == ["warn"]


# the reward of a GRPO run of TRL on a task that is right or wrong, in sixteenths; it rises from 0.38 to 0.48
SIXTEENTHS = "964864635488864A4847542317797878568A88A98956956A59576648695B58B67688577AB984B978"


def test_a_rise_that_the_median_of_a_coarse_reward_does_not_see_is_a_rise() -> None:
    reward = [int(digit, 16) / 16 for digit in SIXTEENTHS]
    report = scan_columns("REW022", {"reward_mean": reward}, total_steps=80, **GRPO)
    assert report.worst() != "warn"


def test_a_warning_of_no_rise_late_in_a_short_run_is_over_once_the_reward_has_risen() -> None:
    flat, risen = around((66, 0.3)), around((66, 0.3), (24, 0.7))
    assert scan_columns("REW022", {"reward_mean": flat}, total_steps=90, **GRPO).worst() == "warn"
    assert [f.severity for f in scan_columns("REW022", {"reward_mean": risen}, total_steps=90, **GRPO).findings] == [
        "info"
    ]
