from __future__ import annotations

import math
from typing import Any

import pytest
from examples import each_of

from rldk.testing import noisy_column, scan_columns

Columns = dict[str, Any]

EXPLAINED = "value_explained_variance"
CLASSIC = {"framework": "cleanrl", "algorithm": "ppo"}
SB3: dict[str, Any] = {"framework": "sb3", "algorithm": "ppo"}
CRITIC = noisy_column(0.03, 40) + noisy_column(0.5, 20)
DIVERGES = {"value_loss": CRITIC, EXPLAINED: [-0.1] * 40 + [-6.0] * 20}


def _off(by: float, returns: list[float], **more: list[Any]) -> Columns:
    return {"return_mean": list(returns), "value_mean": [r + by for r in returns], **more}


RETURNS = [2 + 0.1 * (i % 3) for i in range(60)]
EXPLODES: Columns = {"value_loss": [20.0, 3.8, 1.6, 1.5, 1.2, 8.3e8]}
RISING = [2 + 0.1 * i for i in range(60)]


@each_of(
    ("code", "columns", "options", "expected"),
    [
        ("VAL001", {EXPLAINED: [-0.5] * 60}, {}, (52, "info")),
        ("VAL011", {EXPLAINED: [0.2] * 10 + [-0.6] * 30}, CLASSIC, (21, "warn")),
        ("VAL012", {EXPLAINED: [0.002, -0.003] * 15, "value_loss": [800.0] * 30}, {}, (22, "warn")),
        ("VAL015", EXPLODES | {"value_mean": [-29.0, -19.0, -13.0, -8.0, -4.5, 62.0]}, {}, (6, "warn")),
        ("VAL015", EXPLODES, {}, (6, "warn")),
        ("VAL002", {EXPLAINED: [0.999] * 8}, {}, (5, "info")),
        ("VAL006", {"value_clip_frac": [0.9] * 30}, {}, (22, "info")),
        ("VAL007", _off(-1.0, RETURNS, value_loss=[1.2] * 60), {}, (39, "warn")),
        ("VAL007", _off(1.0, RETURNS, value_loss=[9.0] * 60), {}, (39, "info")),
        ("VAL003", DIVERGES, {}, (44, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("VAL001", {EXPLAINED: [-0.5, 0.5] * 40}, {}),
        ("VAL001", {EXPLAINED: [-0.5] * 60}, {"total_steps": 1000}),
        ("VAL011", {EXPLAINED: [-0.4] * 60}, CLASSIC),
        ("VAL015", {"value_loss": [1e-7, 2e-8, 1e-8, 3e-8, 1e-8, 40.0]}, {}),  # a reward that is found at last
        ("VAL015", EXPLODES | {"reward_mean": [4e5] * 6}, {}),  # no further than what is earned
        ("VAL015", {"value_loss": [20.0, 3.0, 2.0, 1.0, 2.0, 9e4]}, {}),
        ("VAL012", {EXPLAINED: [0.002, -0.02] * 15, "value_loss": [800.0] * 30}, {}),
        ("VAL012", {EXPLAINED: [0.002, -0.003] * 15, "value_loss": [0.9**i for i in range(30)]}, {}),
        ("VAL002", {EXPLAINED: [0.5, *[0.999] * 8]}, {}),
        ("VAL006", {"value_clip_frac": [0.9, 0.1] * 30}, {}),
        ("VAL007", _off(-0.5, RETURNS, value_loss=[0.3] * 60), {}),
        ("VAL007", _off(-1.5, RISING, value_loss=[0.3] * 60), {}),
        ("VAL003", DIVERGES | {EXPLAINED: [-0.1] * 60}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("VAL001", {"value_loss": [1.0] * 9}, {}, "needs value_explained_variance"),
        ("VAL001", {EXPLAINED: [math.nan] * 60}, {}, "needs finite values"),
        ("VAL002", {"value_loss": [1.0] * 9}, {}, "needs value_explained_variance"),
        ("VAL006", {"value_loss": [1.0] * 9}, {}, "needs value_clip_frac"),
        ("VAL007", {"value_mean": [1.0] * 9}, {}, "needs return_mean"),
        ("VAL008", {"clip_frac": [0.1] * 40}, {}, "needs value_loss"),
        ("VAL015", {"value_mean": [0.1] * 40}, {}, "needs value_loss"),
        ("VAL003", {"value_loss": CRITIC}, {}, "needs value_explained_variance"),
        ("VAL011", {"value_loss": [0.5] * 30}, SB3, "needs value_explained_variance"),
        ("VAL011", {EXPLAINED: [0.5] * 30}, {"algorithm": "ppo"}, "critics of small language models"),
        ("VAL012", {EXPLAINED: [0.5] * 30}, SB3, "needs value_loss"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


LOSS: list[Any] = [0.5 + 0.1 * (i * 7 % 10) for i in range(30)]  # 0.5 to 1.4
CLIPPED: list[Any] = [0.1] * 40


def _loss(*values: float | None, clipped: bool = True, **more: list[Any]) -> Columns:
    return {"value_loss": [*values], **({"clip_frac": CLIPPED[: len(values)]} if clipped else {}), **more}


@each_of(
    ("columns", "first_step"),
    [
        (_loss(*LOSS, *[6.0] * 4), 33),
        (_loss(*LOSS, *[0.1] * 4), 33),
        (_loss(*LOSS[:12], *[30.0] * 4), 15),
        (_loss(*LOSS, *[30.0] * 4, clipped=False), 33),
    ],
)
def test_a_value_loss_that_leaves_its_range(columns: Columns, first_step: int) -> None:
    (finding,) = scan_columns("VAL008", columns, algorithm="ppo").findings
    assert (finding.first_step, finding.severity) == (first_step, "warn")


@each_of(
    "columns",
    [
        _loss(*LOSS, *[5.5] * 4),
        _loss(*LOSS, *[25.0] * 4, clipped=False),
        _loss(*LOSS, *[0.1] * 4, clipped=False),
        _loss(*LOSS, 6.0, 6.0, 1.0, 6.0),
        _loss(*LOSS, *[0.13] * 4),
        _loss(*LOSS, *[0.0] * 4),
        _loss(*LOSS, *[6.0] * 4, reward_mean=[0.0] * 30 + [1.0] * 4),  # found at last
        _loss(*(0.7**i for i in range(40))),
        _loss(*(0.7**i for i in range(30)), *[1e-7] * 4),  # solved
    ],
)
def test_a_value_loss_that_moves_within_reason(columns: Columns) -> None:
    report = scan_columns("VAL008", columns, algorithm="ppo")
    assert (report.findings, report.checked) == ((), ("VAL008",))


SOLVED = {"reward_mean": [500.0] * 40, "response_length_mean": [500.0] * 40}
TRIFLE = {"reward_mean": [444.0] * 40, "response_length_mean": [444.0] * 40, "value_loss": [1e-6] * 40}
DULL = {"reward_mean": [20.0 + 5.0 * (i % 2) for i in range(40)], "value_loss": [5.0] * 40}


@pytest.mark.parametrize(("beside", "worst"), [(SOLVED, None), (TRIFLE, None), (DULL, "warn")])
def test_a_critic_with_nothing_to_explain(beside: Columns, worst: str | None) -> None:
    columns = {"value_explained_variance": [-1.0] * 40} | beside
    assert scan_columns("VAL011", columns, framework="sb3", algorithm="ppo").worst() == worst


@pytest.mark.parametrize(("losses", "worst"), [([120 * 0.93**i for i in range(40)], "info"), ([120.0] * 40, "warn")])
def test_a_critic_that_is_late_and_learns(losses: list[Any], worst: str) -> None:
    columns: Columns = {EXPLAINED: [-2.0] * 40, "value_loss": losses, "reward_mean": [140 + i % 3 for i in range(40)]}
    assert scan_columns("VAL011", columns, **CLASSIC).worst() == worst


@pytest.mark.parametrize(("scale", "worst"), [(1.0, "warn"), (1e-7, None)])
def test_a_value_loss_that_is_next_to_nothing(scale: float, worst: str | None) -> None:
    columns = {
        "value_loss": [10.0] * 10 + [scale] * 20 + [5 * scale] * 6,
        EXPLAINED: [0.5] * 30 + [-9.0] * 6,
    }
    assert scan_columns("VAL003", columns, algorithm="ppo").worst() == worst
