from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

GRPO: dict[str, Any] = {"algorithm": "grpo"}
CENTRED = [1e-8, -3e-8] * 6


@each_of(
    ("code", "columns", "options", "expected"),
    [
        (
            "ADV001",
            {"zero_std_group_frac": [0.1] * 5 + [1.0] * 8, "reward_mean": [0.9] * 5 + [0.2] * 8},
            GRPO,
            (10, "warn"),
        ),
        ("ADV001", {"zero_std_group_frac": [0.9] * 25, "reward_mean": [0.9, *[0.2] * 24]}, GRPO, (8, "warn")),
        ("ADV001", {"zero_std_group_frac": [0.9] * 25, "reward_mean": [0.2, *[0.9] * 24]}, GRPO, (22, "info")),
        ("ADV004", {"advantage_mean": [*CENTRED, 0.1, 0.1]}, {}, (14, "critical")),
        ("ADV004", {"advantage_mean": [3.0] * 12, "advantage_std": [0.94] * 12}, {}, (11, "critical")),
        (
            "ADV004",
            {"advantage_mean": [0.1] * 12, "value_loss": [1.0] * 12},
            {"config": {"norm_adv": True}},
            (11, "critical"),
        ),
        ("ADV004", {"advantage_std": [1.0] * 12 + [1.5] * 2}, {}, (14, "critical")),
        ("ADV004", {"advantage_std": [1.0] * 12 + [0.3] * 2, "value_loss": [1.0] * 14}, {}, (14, "critical")),
        ("ADV013", {"advantage_min": [0.0] * 4, "advantage_max": [5.2] * 4}, GRPO, (3, "warn")),
        ("ADV013", {"advantage_min": [-2.0] * 4, "advantage_max": [-0.1] * 4}, GRPO, (3, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("ADV001", {"zero_std_group_frac": [0.4] * 25, "reward_mean": [0.9, *[0.2] * 24]}, GRPO),
        ("ADV004", {"advantage_mean": [*CENTRED, 0.1, 0.0, 0.1]}, {}),
        ("ADV004", {"advantage_mean": [0.1 * (-1) ** i for i in range(30)]}, {}),
        ("ADV004", {"advantage_std": [0.94] * 12 + [0.6] * 9, "zero_std_group_frac": [0.0] * 12 + [0.4] * 9}, GRPO),
        ("ADV004", {"advantage_std": [1.0] * 12 + [1.09] * 9}, {}),
        ("ADV013", {"advantage_min": [0.0, -0.1] * 9, "advantage_max": [5.2] * 18}, GRPO),
        ("ADV013", {"advantage_min": [0.0] * 9, "advantage_max": [6e-4] * 9}, GRPO),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("ADV001", {"reward_mean": [1.0] * 9}, GRPO, "needs zero_std_group_frac"),
        ("ADV001", {"zero_std_group_frac": [1.0] * 9}, {"algorithm": "ppo"}, "defined for grpo, rloo"),
        ("ADV004", {"reward_mean": [1.0] * 9}, {}, "needs advantage_mean or advantage_std"),
        ("ADV013", {"advantage_min": [0.0] * 9}, GRPO, "needs advantage_max"),
        ("ADV013", {"advantage_min": [0.0] * 9}, {"algorithm": "ppo"}, "defined for"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


@pytest.mark.parametrize(("gain", "severity"), [(0.0, "warn"), (0.01, "info")])
def test_groups_that_come_to_agree(gain: float, severity: str) -> None:
    columns = {
        "zero_std_group_frac": [0.1] * 20 + [0.6] * 40,
        "reward_mean": [gain * i + 0.1 * (i % 3) for i in range(60)],
    }
    assert scan_columns("ADV001", columns).worst() == severity


MANY: list[Any] = [0.7, 0.8, 0.75, 0.7, 0.8] * 8


@pytest.mark.parametrize(
    ("groups", "reward", "expected"),
    [
        (MANY[:10], [1.7, 2.0, 2.7, 3.7, 3.1, 2.7, 2.6, 2.7, 2.5, 2.6], [(8, "warn")]),  # a short run
        ([1.0, 1.0, 0.25] * 12, [0.0, 0.0, -0.3] * 12, [(22, "warn")]),  # nothing above 0 was ever found
        (MANY, [0.02 * i for i in range(40)], [(22, "info")]),  # it learns
    ],
)
def test_most_groups_without_signal(groups: list[Any], reward: list[Any], expected: list[tuple[int, str]]) -> None:
    found = scan_columns("ADV001", {"zero_std_group_frac": groups, "reward_mean": reward}, algorithm="grpo").findings
    assert [(f.first_step, f.severity) for f in found] == expected
