from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]
PPO: dict[str, Any] = {"algorithm": "ppo"}
GRPO: dict[str, Any] = {"algorithm": "grpo"}


def tails(levels: list[float], n: float) -> Columns:
    return {"advantage_kurtosis": [*levels], "advantage_count": [n] * len(levels)}


def skew(bowley: list[float], third: float, n: float) -> Columns:
    rows = len(bowley)
    return {
        "advantage_skewness_bowley": [*bowley],
        "advantage_skewness": [third] * rows,
        "advantage_count": [n] * rows,
    }


def paid(low: list[float], length: list[float], name: str = "length_reward_rho", sign: float = 1.0) -> Columns:
    return {name: [sign * (x + 0.1) for x in low], f"{name}_low": [*low], "response_length_mean": [*length]}


RISING = [100.0 + 2 * i for i in range(30)]
STEADY = [100.0] * 30


@each_of(
    ("code", "columns", "options", "expected"),
    [
        ("ADV007", tails([60.0] * 12, 512), PPO, (10, "info")),
        ("ADV007", tails([1.0, 1.5] * 12 + [15.0] * 6, 64), PPO, (27, "info")),
        ("ADV008", {"advantage_shift": [0.05] * 15 + [0.5] * 6, "advantage_count": [512.0] * 21}, PPO, (19, "info")),
        ("ADV011", skew([0.6] * 12, 2.0, 512), PPO, (10, "info")),
        ("ADV011", skew([0.0, 0.1] * 12 + [-0.6] * 6, -2.0, 64), PPO, (27, "info")),
        ("ADV012", {"advantage_bound_frac": [0.0] * 3 + [0.3] * 4}, GRPO, (6, "warn")),
        ("LEN001", paid([0.5] * 30, STEADY), PPO, (3, "info")),
        ("LEN001", paid([0.2] * 24 + [0.5] * 6, RISING), PPO, (27, "warn")),
        ("LEN001", paid([0.2] * 24 + [0.5] * 6, RISING[::-1], sign=-1.0), PPO, (27, "warn")),
        ("LEN001", paid([0.2] * 24 + [0.5] * 6, RISING, "length_reward_rho_overall"), PPO, (27, "info")),
        ("LEN001", paid([0.2] * 9, [100.0] * 9), {"config": {"length_bias_threshold": 0.1}}, (3, "info")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("ADV007", tails([49.0] * 30, 4096), PPO),
        ("ADV007", tails([60.0] * 30, 100), PPO),
        ("ADV007", tails([0.5 * 1.1**i for i in range(60)], 256), PPO),  # as success grows
        ("ADV008", {"advantage_shift": [0.05] * 15 + [0.4] * 6, "advantage_count": [64.0] * 21}, PPO),
        ("ADV008", {"advantage_shift": [0.3] * 25, "advantage_count": [512.0] * 25}, PPO),
        ("ADV011", skew([0.6] * 20, 0.9, 512), PPO),
        ("ADV011", skew([0.6] * 20, 2.0, 100), PPO),
        ("ADV011", skew([-0.6] * 20, 2.0, 512), PPO),
        ("ADV011", skew([0.03 * i for i in range(30)], 2.0, 512), PPO),
        ("ADV012", {"advantage_bound_frac": [0.3, 0.3, 0.0] * 5}, GRPO),
        ("LEN001", paid([0.34] * 30, RISING), PPO),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "options", "reason"),
    [
        ("ADV007", PPO, "needs advantage_kurtosis, advantage_count"),
        ("ADV007", GRPO, "defined for"),
        ("ADV008", PPO, "needs advantage_shift, advantage_count"),
        ("ADV011", PPO, "needs advantage_skewness"),
        ("ADV012", GRPO, "needs advantage_bound_frac"),
        ("LEN001", PPO, "needs length_reward_rho"),
    ],
)
def test_says_what_is_missing(code: str, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, {"reward_mean": [1.0] * 9}, **options).skipped
    assert check.reason.startswith(reason)
