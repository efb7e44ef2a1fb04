from __future__ import annotations

import math
from typing import Any

import pytest
from examples import each_of

from rldk.rules.evidence import GAUSSIAN
from rldk.testing import noisy_column, scan_columns

Columns = dict[str, Any]

LANGUAGE: Columns = {"kl": [0.1] * 60}
RISING = [0.01 * i for i in range(60)]
FLAT = [0.5 + 0.1 * (i % 2) for i in range(60)]
CLASSIC: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "ppo"}
GRPO: dict[str, Any] = {"algorithm": "grpo"}
CEILING = [math.log(40) * (1 - 0.02 * 0.5**i) for i in range(45)]
EVEN = [0.3 + 0.02 * (i % 3) for i in range(45)]
STEADY = {"reward_mean": noisy_column(0.5, 60, 2)}
LEARNT = noisy_column(0.2, 40) + noisy_column(0.6, 20)


def _steps(first: float, then: float) -> list[float]:
    """An entropy that steps to another level after forty rows."""
    return noisy_column(first, 40, share=0.01) + noisy_column(then, 20, share=0.01)


FALLS = _steps(2.0, 1.2)


@each_of(
    ("code", "columns", "options", "expected"),
    [
        (
            "ENT001",
            {"entropy": [3.0] * 30 + [0.6] * 30, "reward_mean": [1.0, *[0.8] * 59]} | LANGUAGE,
            {},
            (34, "warn"),
        ),
        (
            "ENT001",
            {"entropy": [3.0] * 30 + [0.6] * 30, "reward_mean": RISING[:30] + [-0.5] * 30} | LANGUAGE,
            {},
            (35, "critical"),
        ),
        (
            "ENT001",
            {"entropy": [4.0] * 5 + [0.5] * 9, "logp_chosen": [-20.0] * 5 + [-200.0] * 9, "loss": [1.0] * 14},
            {"algorithm": "dpo"},
            (9, "warn"),
        ),
        (
            "ENT002",
            {"entropy": [1.0] * 40 + [3.0] * 20, "reward_mean": RISING[:40] + [-0.5] * 20} | LANGUAGE,
            {},
            (47, "warn"),
        ),
        (
            "ENT003",
            {"entropy": [0.6929] * 80, "reward_mean": [*FLAT, *FLAT[:20]]},
            CLASSIC | {"total_steps": 100},
            (62, "warn"),
        ),
        ("ENT007", {"entropy": [0.5, -0.1]}, {"algorithm": "grpo"}, (2, "critical")),
        ("ENT007", {"entropy": [0.5, 15.0]}, {"algorithm": "grpo"}, (2, "critical")),
        ("ENT007", {"entropy": [7.0]}, {"algorithm": "grpo", "config": {"vocab_size": 1000}}, (1, "critical")),
        ("ENT007", {"entropy": [-0.5, -0.4]}, {"algorithm": "grpo"}, (1, "info")),
        ("ENT008", {"entropy": FALLS, **STEADY}, {}, (43, "warn")),
        ("ENT012", {"entropy": CEILING, "reward_mean": EVEN}, GRPO, (31, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


FALL = {"reward_mean": [1.0, *[0.8] * 59], "clip_frac": [0.1] * 60}


@each_of(
    ("first", "judged"),
    [
        (2.0, True),
        (2 * GAUSSIAN, False),  # two continuous actions at the usual start
        (2.014 * GAUSSIAN, False),
        (2.016 * GAUSSIAN, True),
        (1.986 * GAUSSIAN, False),
        (2.999, True),
        (3.0, False),  # more than twenty discrete actions
    ],
)
def test_an_entropy_without_a_floor_is_not_judged(first: float, judged: bool) -> None:
    report = scan_columns("ENT001", {"entropy": [first] * 30 + [0.1 * first] * 30, **FALL}, **CLASSIC)
    assert bool(report.findings) == judged


@each_of(
    ("code", "columns", "options"),
    [
        ("ENT001", {"entropy": [3.0] * 30 + [0.6] * 30, "reward_mean": RISING} | LANGUAGE, {}),
        ("ENT001", {"entropy": [3.0] * 30 + [0.6] * 30, "reward_mean": [0.0] * 20 + [1.0] * 40} | LANGUAGE, {}),
        ("ENT001", {"entropy": [3.0] * 30 + [1.0] * 30, "reward_mean": RISING[:30] + [-0.5] * 30} | LANGUAGE, {}),
        ("ENT001", {"entropy": [8.5] * 30 + [0.5] * 30, "reward_mean": RISING[:30] + [-0.5] * 30}, CLASSIC),
        ("ENT002", {"entropy": [1.0] * 40 + [3.0] * 20, "reward_mean": RISING} | LANGUAGE, {}),
        ("ENT003", {"entropy": [0.6929] * 30 + [0.6] * 30, "reward_mean": FLAT}, CLASSIC | {"total_steps": 100}),
        ("ENT003", {"entropy": [1.419] * 60, "reward_mean": FLAT}, CLASSIC | {"total_steps": 100}),
        ("ENT007", {"entropy": [0.0, 12.0]}, {"algorithm": "grpo"}),
        ("ENT008", {"entropy": FALLS, "reward_mean": LEARNT}, {}),
        ("ENT008", {"entropy": _steps(2.0, 1.7), **STEADY}, {}),
        ("ENT012", {"entropy": CEILING, "reward_mean": [0.02 * i for i in range(45)]}, GRPO),
        ("ENT012", {"entropy": [2.0 + 0.01 * (i % 3) for i in range(45)], "reward_mean": EVEN}, GRPO),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("ENT001", {"reward_mean": [1.0] * 30}, {}, "needs entropy"),
        ("ENT002", {"entropy": [1.0] * 30}, {}, "needs reward_mean"),
        ("ENT003", {"entropy": [1.0] * 30}, {}, "defined for a few discrete actions"),
        ("ENT003", {"entropy": [1.0] * 30}, CLASSIC, "needs reward_mean"),
        ("ENT007", {"entropy": [-1.0] * 30}, CLASSIC, "actions may be continuous"),
        ("ENT007", {"entropy": [-1.0] * 30}, {"names": {"env_steps": "timesteps"}}, "actions may be continuous"),
        ("ENT007", {"kl": [1.0] * 30}, {"algorithm": "grpo"}, "needs entropy"),
        ("ENT008", {"entropy": FALLS}, {}, "needs reward_mean"),
        ("ENT012", {"entropy": CEILING}, GRPO, "needs reward_mean"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


FALLING = [2.0 * 0.99**i for i in range(100)]
STILL = [0.5] * 100


def heading(entropy: list[float], reward: list[float], total: int | None) -> Any:
    columns: Columns = {"entropy": [*entropy], "reward_mean": [*reward], "kl": [0.1] * 100}
    return scan_columns("ENT006", columns, algorithm="grpo", total_steps=total)


def test_entropy_that_will_reach_its_floor_is_announced() -> None:
    (finding,) = heading(FALLING, STILL, 200).findings
    assert (finding.first_step, finding.severity) == (64, "info")


@each_of(
    ("entropy", "reward", "total"),
    [
        (FALLING, STILL, 110),  # the run ends before
        (FALLING, [0.01 * i for i in range(100)], 200),  # it pays
        ([2.0 - 0.001 * i for i in range(100)], STILL, 200),
        (FALLING, STILL, None),
    ],
)
def test_entropy_that_will_not_is_not(entropy: list[float], reward: list[float], total: int | None) -> None:
    assert heading(entropy, reward, total).findings == ()


EASY = [0.66, 0.5, *[0.07] * 200]  # two actions, one of which is nearly always right


@pytest.mark.parametrize(
    ("gain", "worst"),
    [
        (1.0, None),  # the return goes on rising, in waves
        (0.0, "warn"),  # nothing was gained by it
    ],
)
def test_a_task_that_needs_no_entropy(gain: float, worst: str | None) -> None:
    reward = [-75.0 + gain * 2.0 * i + 10.0 * ((i // 9) % 3) + 5.0 * (i % 2) for i in range(len(EASY))]
    assert scan_columns("ENT001", {"entropy": EASY, "reward_mean": reward}, **CLASSIC).worst() == worst


@pytest.mark.parametrize(("reward", "found"), [((0.5, 0.3), 1), ((0.3, 0.5), 0)])
def test_a_slow_rise_with_truncation(reward: tuple[float, float], found: int) -> None:
    def way(a: float, b: float) -> list[Any]:
        return [a + (b - a) * i / 80 for i in range(80)]

    columns = {"entropy": way(0.3, 0.9), "truncation_frac": way(0.05, 0.6), "reward_mean": way(*reward)}
    assert len(scan_columns("ENT002", columns).findings) == found


@pytest.mark.parametrize(("level", "severity"), [(0.07, "warn"), (0.6, "critical")])
def test_an_entropy_that_was_low_long_before_did_not_move(level: float, severity: str) -> None:
    entropy: list[Any] = [0.68] * 30 + [level] * 200 + [0.07] * 30
    reward: list[Any] = [i / 100 for i in range(230)] + [0.2] * 30
    found = scan_columns("ENT001", {"entropy": entropy, "reward_mean": reward}, algorithm="grpo").findings
    assert [f.severity for f in found][-1:] == [severity]


def test_the_entropy_of_a_tiny_batch_is_noise() -> None:
    """A2C logs that of one batch of a few steps, in which an agent may be sure for a while."""
    entropy: Columns = {"entropy": [0.12, 0.15, 0.11, 0.14, 0.02] * 8 + [0.02, 0.01, 0.02, 0.03]}
    rewards: Columns = {"reward_mean": [7.0 + (i % 5) for i in range(40)] + [7.0] * 4}
    assert not scan_columns("ENT001", entropy | rewards, framework="sb3", algorithm="a2c").findings


@pytest.mark.parametrize(("first", "warned"), [(3.1085, False), (3.2957, True)])  # 22.4 actions, 27 actions
def test_many_actions_are_recognised_by_a_whole_number_of_them(first: float, warned: bool) -> None:
    columns: Columns = {"entropy": [first] * 80, "reward_mean": [*FLAT, *FLAT[:20]]}
    assert bool(scan_columns("ENT003", columns, **CLASSIC).findings) == warned


@pytest.mark.parametrize(("slope", "warned"), [(0.02, False), (0.0, True)])
def test_an_agent_that_decides_while_it_still_improves(slope: float, warned: bool) -> None:
    columns = {"entropy": FALLS, "reward_mean": [slope * i + 0.1 * (2 * i % 5) for i in range(60)]}
    found = scan_columns("ENT008", columns, framework="mlagents", algorithm="ppo").findings
    assert bool(found) == warned


@pytest.mark.parametrize(("now", "found"), [(80.0, 0), (-9.0, 1)], ids=["kept", "lost"])
def test_an_agent_that_keeps_its_gain_has_not_collapsed(now: float, found: int) -> None:
    reward = [float(i % 2) for i in range(30)] + [7.0 * i for i in range(14)] + [now + i % 2 for i in range(40)]
    entropy = [1.0] * 44 + [0.2] * 40
    report = scan_columns("ENT001", {"entropy": entropy, "reward_mean": reward}, **CLASSIC)
    assert min(1, len(report.findings)) == found
