"""Goals that stand at their first level, or below it: REW036, REW037, REW038, REW040."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Column = list[float | None]
DQN: dict[str, Any] = {"algorithm": "dqn"}
DECAY: Column = [1.0 - 0.03 * i for i in range(32)]
WORSE: Column = [0.5 + 0.01 * (i % 3) - 0.008 * i for i in range(32)]


def noise(size: float, seed: int = 3) -> Iterator[float]:
    source = random.Random(seed)
    while True:
        yield source.gauss(0.0, size)


def course(*levels: tuple[int, float], size: float = 10.0) -> Column:
    draw = noise(size)
    return [level + next(draw) for rows, level in levels for _ in range(rows)]


@each_of(
    ("score", "rate", "found"),
    [
        (WORSE, DECAY, 1),
        (WORSE, [0.05 + 0.9 * (i < 31) for i in range(32)], 0),  # still acts at random
        ([1.0 - x for x in WORSE if x is not None], DECAY, 0),  # rises
        ([0.5 + 0.25 * (x - 0.5) for x in WORSE if x is not None], DECAY, 0),  # less than a fifth
        ([*WORSE[:8], *[0.9] * 12, *WORSE[20:]], DECAY, 0),  # it was better once: REW012
    ],
    ids=["sinks", "explores", "rises", "little", "collapses"],
)
def test_a_score_that_sinks_below_chance(score: Column, rate: Column, found: int) -> None:
    columns: dict[str, Column] = {"episode_success_rate": score, "exploration_rate": rate, "loss": [0.1] * 32}
    report = scan_columns("REW036", columns, **DQN)
    assert [f.severity for f in report.findings] == ["warn"] * found


@each_of(
    ("levels", "found"),
    [
        (((120, 100.0), (400, 70.0)), 1),
        (((120, 100.0), (400, 85.0)), 0),  # less than a fifth
        (((120, 100.0), (200, 70.0)), 0),  # too short
        (((100, 100.0), (200, 140.0), (400, 70.0)), 0),  # it was better once
    ],
    ids=["sinks", "little", "short", "better-once"],
)
def test_single_episodes_need_four_hundred_rows(levels: tuple[tuple[int, float], ...], found: int) -> None:
    report = scan_columns("REW036", {"reward_mean": course(*levels)}, framework="stable_baselines3")
    assert len(report.findings) == found


def test_responses_are_left_to_other_rules() -> None:
    columns: dict[str, Column] = {"reward_mean": course((120, 100.0), (400, 70.0)), "kl": [0.01] * 520}
    assert scan_columns("REW036", columns, algorithm="grpo").findings == ()


@each_of(
    ("levels", "severities"),
    [
        (((1100, 50.0),), ["warn"]),
        (((790, 50.0),), []),  # not yet eight hundred
        (((550, 50.0), (550, 60.0)), []),  # one standard deviation
        (((1100, 50.0), (400, 90.0)), ["info"]),  # it learns after all
    ],
    ids=["never", "short", "learns", "late"],
)
def test_eight_hundred_rewards_without_a_gain(levels: tuple[tuple[int, float], ...], severities: list[str]) -> None:
    report = scan_columns("REW037", {"reward_mean": course(*levels)})
    assert [f.severity for f in report.findings] == severities


def test_a_solved_task_has_nothing_to_gain() -> None:
    assert scan_columns("REW037", {"reward_mean": course((1100, 500.0), size=2.0)}).findings == ()


def test_a_log_that_names_its_training_is_left_to_the_rule_for_it() -> None:
    (check,) = scan_columns("REW037", {"reward_mean": [1.0] * 9, "loss": [1.0] * 9}, names={"loss": "loss"}).skipped
    assert check.status == "not_applicable"
    assert "REW022" in check.reason


@pytest.mark.parametrize(("most", "reward", "found"), [(0.05, False, 1), (0.2, False, 0), (0.05, True, 0)])
def test_a_success_rate_that_never_leaves_zero(most: float, reward: bool, found: int) -> None:
    rate: Column = [most if i == 20 else 0.0 for i in range(130)]
    columns: dict[str, Column] = {"episode_success_rate": rate}
    report = scan_columns("REW038", columns | ({"reward_mean": [1.0] * 130} if reward else {}), algorithm="sac")
    assert len(report.findings) == found


@pytest.mark.parametrize(("code", "needs"), [("REW036", "reward_mean"), ("REW037", "reward_mean"), ("REW038", "pass")])
def test_says_which_score_is_missing(code: str, needs: str) -> None:
    (check,) = scan_columns(code, {"kl": [1.0] * 9}).skipped
    assert needs in check.reason


WANDERS: Column = [-200.0 + 150.0 * math.sin(1.7 * i) for i in range(25)]
FALLEN: Column = [*WANDERS, -450.0, -620.0, -678.0, -678.1, -678.0, -671.8, -671.0]


@each_of(
    ("column", "first"),
    [
        (FALLEN, 32),
        ([value for x in FALLEN for value in (x, None)], 63),  # logged on every other row
        ([*WANDERS, -450.0, -620.0, -678.0, -640.0, -700.0, -655.0, -690.0, -671.0], None),  # still moves
        ([*WANDERS, *[-360.0] * 12], None),  # hardly below what was there before
        ([*WANDERS, *[-10.0] * 12], None),  # above
        (FALLEN[15:], None),  # too little before
        ([*(500.0 - i % 2 for i in range(25)), *[444.0] * 12], None),  # hardly varied, and lost a tenth
    ],
    ids=["fallen", "gaps", "moves", "near", "above", "short", "solved"],
)
def test_a_return_that_stands_below_all_before(column: Column, first: int | None) -> None:
    report = scan_columns("REW040", {"reward_mean": column}, algorithm="sac")
    assert [f.first_step for f in report.findings] == ([] if first is None else [first])


def test_a_fall_while_exploration_ends_is_left_alone() -> None:
    rate: Column = [1.0 - 0.03 * i for i in range(len(FALLEN))]
    assert not scan_columns("REW040", {"reward_mean": FALLEN, "exploration_rate": rate}, **DQN).findings
