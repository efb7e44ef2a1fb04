from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import noisy_column, scan_columns

Columns = dict[str, Any]
GAP = "rollout_logprob_diff_mean"
DRIFTS: list[Any] = [0.011 * 1.035**i for i in range(45)]
WEIGHTS: Columns = {
    "rollout_is_ratio_mean": [0.57] * 12,
    "rollout_is_ratio_max": [3.0] * 12,
    GAP: [6e-4] * 12,
}
JUMP = noisy_column(1.0, 40) + noisy_column(4.0, 20)


@pytest.mark.parametrize(
    ("code", "columns", "expected"),
    [
        ("OFF016", {GAP: DRIFTS}, (32, "warn")),
        ("OFF017", WEIGHTS, (7, "warn")),
        ("OFF002", {GAP: [0.01 * x for x in JUMP]}, (43, "warn")),
    ],
)
def test_fires(code: str, columns: Columns, expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns)
    assert [(f.first_step, f.severity) for f in report.findings] == [expected]


def test_a_ratio_at_its_cap_is_said() -> None:
    (finding,) = scan_columns("OFF017", WEIGHTS).findings
    assert "at its cap of 3" in finding.message


@each_of(
    ("code", "columns"),
    [
        ("OFF016", {GAP: [0.011 + 0.001 * (i % 3) for i in range(60)]}),
        ("OFF016", {GAP: [0.001 * 1.035**i for i in range(60)]}),  # grows far below what matters
        ("OFF017", WEIGHTS | {"rollout_is_ratio_mean": [0.9] * 12}),
        ("OFF017", WEIGHTS | {GAP: [0.05] * 12}),  # the tokens differ: OFF001 and OFF003
        ("OFF002", {GAP: [1e-6 * x for x in JUMP]}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns) -> None:
    report = scan_columns(code, columns)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("OFF016", "needs rollout_logprob_diff_mean or"),
        ("OFF017", "needs rollout_is_ratio_mean, rollout_logprob"),
        ("OFF002", "needs rollout_logprob_diff_mean"),
    ],
)
def test_says_what_is_missing(code: str, reason: str) -> None:
    (check,) = scan_columns(code, {"kl": [1.0] * 30}).skipped
    assert check.reason.startswith(reason)
