"""Faults that are there from the first row leave no healthy past: published limits and exact conditions."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rldk.testing import scan_columns

GRPO: dict[str, Any] = {"algorithm": "grpo"}
TOKENS: dict[str, Any] = {"estimators": {"kl": "k3 tok_mean"}}
SUMS: dict[str, Any] = {"estimators": {"kl": "k1 seq_sum"}}
CEILING = [math.log(40) * (1 - 0.02 * 0.5**i) for i in range(45)]
FLAT = [0.3 + 0.02 * (i % 3) for i in range(45)]


@pytest.mark.parametrize(
    ("code", "columns", "options", "first_step"),
    [
        ("KL017", {"kl": [0.0, 1.9, 2.4, 2.7, 1.9, 2.0]}, TOKENS, 5),
        ("KL017", {"kl": [0.0, 9.0, 9.0, 9.0, 9.0]}, SUMS, 5),
        ("GRAD014", {"grad_norm": [700.0 + i for i in range(12)]}, GRPO, 10),
        ("ADV013", {"advantage_min": [0.0] * 4, "advantage_max": [5.2] * 4}, GRPO, 3),
        ("ADV013", {"advantage_min": [-2.0] * 4, "advantage_max": [-0.1] * 4}, GRPO, 3),
        ("ENT012", {"entropy": CEILING, "reward_mean": FLAT}, GRPO, 31),
    ],
)
def test_fires(code: str, columns: dict[str, Any], options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


@pytest.mark.parametrize(
    ("code", "columns", "options"),
    [
        ("KL017", {"kl": [0.0, 0.4, 0.4, 0.4, 0.4, 9.0, 9.0]}, TOKENS),
        ("KL017", {"kl": [0.0, 4.0, 4.0, 4.0, 4.0]}, SUMS),
        ("GRAD014", {"grad_norm": [90.0] * 10 + [700.0] * 9}, GRPO),
        ("ADV013", {"advantage_min": [0.0, -0.1] * 9, "advantage_max": [5.2] * 18}, GRPO),
        ("ADV013", {"advantage_min": [0.0] * 9, "advantage_max": [6e-4] * 9}, GRPO),
        ("ENT012", {"entropy": CEILING, "reward_mean": [0.02 * i for i in range(45)]}, GRPO),
        ("ENT012", {"entropy": [2.0 + 0.01 * (i % 3) for i in range(45)], "reward_mean": FLAT}, GRPO),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any], options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("code", "columns", "options", "reason"),
    [
        ("KL017", {"loss": [1.0] * 9}, {}, "needs kl"),
        ("GRAD014", {"loss": [1.0] * 9}, GRPO, "needs grad_norm"),
        ("GRAD014", {"grad_norm": [700.0] * 20}, {"algorithm": "dqn"}, "defined for"),
        ("ADV013", {"advantage_min": [0.0] * 9}, GRPO, "needs advantage_max"),
        ("ADV013", {"advantage_min": [0.0] * 9}, {"algorithm": "ppo"}, "defined for"),
        ("ENT012", {"entropy": CEILING}, GRPO, "needs reward_mean"),
    ],
)
def test_says_what_is_missing(code: str, columns: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)
