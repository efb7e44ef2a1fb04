from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]
NOISE = [0.1 * math.sin(7.0 * i * i) for i in range(400)]
BOTH = ("grad_norm_policy", "grad_norm_value")


def _norms(policy: list[float], value: list[float], **more: list[Any]) -> Columns:
    return {"grad_norm_policy": list(policy), "grad_norm_value": list(value), **more}


def _noisy(factors: list[float]) -> list[float]:
    return [k * math.exp(x) for k, x in zip(factors, NOISE, strict=False)]


VANISHED: list[Any] = [1.0] * 30 + [5e-5] * 30
LOSSY: list[Any] = [0.5 + 0.1 * (i % 3) for i in range(60)]
LOUD = [math.exp(x) for x in NOISE[:80]] + [math.exp(8 * x) for x in NOISE[80:140]]
STEP = [1.0] * 60 + [20.0] * 40
SLOW = [10 ** (i / 50) for i in range(80)]


@each_of(
    ("code", "columns", "first_step", "severity"),
    [
        ("GRAD004", {"grad_norm": VANISHED, "loss": [1.0] * 60}, 43, "warn"),
        ("GRAD004", {"grad_norm": VANISHED, "loss": [1.0] * 30 + [0.01] * 30}, 43, "info"),
        ("GRAD004", {"grad_norm": VANISHED, "reward_mean": [1.0] * 30 + [0.1] * 30}, 43, "warn"),
        ("GRAD004", {"grad_norm": [1.0] * 15 + [1e-6] * 10, "reward_mean": [0.3] * 25}, 20, "warn"),
        ("GRAD004", {"grad_norm": [1.0] * 25 + [1e-6] * 5, "loss": [1.0] * 30}, 30, "warn"),
        ("GRAD005", _norms(_noisy(STEP), [1.0] * 100), 73, "warn"),
        ("GRAD006", _norms(_noisy(STEP), [1.0] * 100), 63, "info"),
        ("GRAD007", _norms(_noisy(SLOW), [1.0] * 80), 60, "info"),
        ("GRAD008", {"grad_norm": list(LOUD)}, 101, "info"),
        ("GRAD009", _norms([1.0] * 60, [0.0] * 60, value_loss=LOSSY), 21, "warn"),
    ],
)
def test_fires(code: str, columns: Columns, first_step: int, severity: str) -> None:
    report = scan_columns(code, columns)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, severity)]


@each_of(
    ("code", "columns"),
    [
        ("GRAD004", {"grad_norm": [1.0] * 30 + [0.011] * 30, "loss": [1.0] * 60}),
        ("GRAD004", {"grad_norm": VANISHED, "loss": [1.0] * 60, "zero_std_group_frac": [0.1] * 30 + [1.0] * 30}),
        ("GRAD004", {"grad_norm": [1.0] * 30 + [0.0] * 30, "loss": [1.0] * 60}),
        ("GRAD004", {"grad_norm": [1.0] * 15 + [1e-6] * 2 + [1.0] * 10, "reward_mean": [0.3] * 27}),
        ("GRAD004", {"grad_norm": [1.0] * 25 + [1e-6] * 9, "loss": [1.0] * 25 + [1e-3] * 9}),
        ("GRAD005", _norms(_noisy([1.0] * 60 + [9.0] * 40), [1.0] * 100)),
        ("GRAD006", _norms(_noisy([1.0] * 60 + [2.8] * 40), [1.0] * 100)),
        ("GRAD007", _norms(_noisy([10 ** (i / 70) for i in range(80)]), [1.0] * 80)),
        ("GRAD008", {"grad_norm": [0.9**i * math.exp(x) for i, x in enumerate(NOISE[:140])]}),
        ("GRAD009", _norms([1.0] * 60, [0.0] * 60, value_loss=[0.0] * 60)),
        ("GRAD009", _norms([1.0] * 60, [0.1] + [0.0] * 59, value_loss=LOSSY)),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns) -> None:
    report = scan_columns(code, columns)
    assert (report.findings, report.checked) == ((), (code,))


@each_of("code", ["GRAD004", "GRAD005", "GRAD006", "GRAD007", "GRAD008", "GRAD009"])
def test_says_what_is_missing(code: str) -> None:
    (check,) = scan_columns(code, {"value_loss": LOSSY}).skipped
    assert check.reason.startswith("needs grad_norm")
