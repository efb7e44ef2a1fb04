from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]
NOISE = [0.1 * math.sin(7.0 * i * i) for i in range(400)]
STD: list[Any] = [1.0] * 120


def _scale(factor: float) -> list[Any]:
    return [math.exp(x) * (factor if i >= 40 else 1.0) for i, x in enumerate(NOISE[:60])]


BIASED: list[Any] = [*NOISE[:40], *(0.4 + x for x in NOISE[40:80])]
LOUD: list[Any] = [*NOISE[:80], *(5 * x for x in NOISE[80:120])]


@each_of(
    ("code", "columns", "first_step", "severity"),
    [
        ("ADV005", {"advantage_mean": BIASED, "advantage_std": STD[:80]}, 62, "warn"),
        (
            "ADV005",
            {"advantage_mean": BIASED, "advantage_std": STD[:80], "reward_mean": [0.1 * i for i in range(80)]},
            62,
            "info",
        ),
        ("ADV006", {"advantage_std": _scale(2.5)}, 43, "info"),
        ("ADV006", {"advantage_std": _scale(2.5), "grad_norm": _scale(1.8)}, 43, "warn"),
        ("ADV006", {"advantage_std": _scale(0.4), "grad_norm": _scale(0.5)}, 43, "warn"),
        (
            "ADV009",
            {"advantage_mean": [x + 0.01 * i for i, x in enumerate(NOISE[:80])], "advantage_std": STD[:80]},
            60,
            "info",
        ),
        ("ADV009", {"advantage_mean": NOISE[:80], "advantage_std": [1 + 0.05 * i for i in range(80)]}, 60, "info"),
        ("ADV014", {"policy_loss": [*NOISE[:80], *(50 * x for x in NOISE[80:120])]}, 92, "warn"),
        ("ADV010", {"advantage_mean": LOUD, "advantage_std": STD}, 101, "info"),
    ],
)
def test_fires(code: str, columns: Columns, first_step: int, severity: str) -> None:
    report = scan_columns(code, columns)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, first_step, severity)]


@each_of(
    ("code", "columns"),
    [
        ("ADV005", {"advantage_mean": [0.18 + 0.1 * x for x in NOISE[:80]], "advantage_std": STD[:80]}),
        ("ADV005", {"advantage_mean": [0.0] * 20 + [0.4] * 60, "advantage_std": STD[:80]}),
        ("ADV006", {"advantage_std": _scale(1.7), "grad_norm": _scale(1.8)}),
        ("ADV006", {"advantage_std": _scale(0.4), "zero_std_group_frac": [0.1] * 60}),
        (
            "ADV009",
            {"advantage_mean": [0.001 * i for i in range(80)], "advantage_std": [3 - 0.02 * i for i in range(80)]},
        ),
        ("ADV014", {"policy_loss": [*NOISE[:80], *(6 * x for x in NOISE[80:120])]}),
        ("ADV014", {"policy_loss": [x * (1e-6 if i < 80 else 0.3) for i, x in enumerate(NOISE[:120])]}),
        (
            "ADV010",
            {
                "advantage_mean": [x * (1e-8 if i < 80 else 1e-7) for i, x in enumerate(NOISE[:120])],
                "advantage_std": STD,
            },
        ),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns) -> None:
    report = scan_columns(code, columns)
    assert (report.findings, report.checked) == ((), (code,))


@each_of("code", ["ADV005", "ADV006", "ADV009", "ADV010"])
def test_says_what_is_missing(code: str) -> None:
    (check,) = scan_columns(code, {"reward_mean": [0.1] * 60}).skipped
    assert check.reason.startswith("needs advantage")


def test_without_a_policy_loss() -> None:
    (check,) = scan_columns("ADV014", {"loss": [0.1] * 60}).skipped
    assert check.reason == "needs policy_loss"


def test_groups_are_not_centred_over_tokens_and_not_looked_at() -> None:
    report = scan_columns("ADV005", {"advantage_mean": BIASED, "advantage_std": STD[:80]}, algorithm="grpo")
    assert report.checked == ()
