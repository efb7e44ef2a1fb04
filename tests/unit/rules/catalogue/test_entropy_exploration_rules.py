from __future__ import annotations

import pytest

from rldk.testing import scan_columns


@pytest.mark.parametrize(
    ("values", "first_step"), [([0.01] * 5 + [-0.3] * 5, 6), ([0.01] * 12 + [0.3] * 5, 13), ([-0.1] * 3, 1)]
)
def test_fires(values: list[float], first_step: int) -> None:
    report = scan_columns("ENT010", {"entropy_coef": values})
    assert [f.first_step for f in report.findings] == [first_step]


@pytest.mark.parametrize("values", [[0.01 * 0.9**i for i in range(30)], [0.01] * 12 + [0.02] * 5, [0.0] * 20])
def test_stays_quiet_near_the_limit(values: list[float]) -> None:
    report = scan_columns("ENT010", {"entropy_coef": values})
    assert (report.findings, report.checked) == ((), ("ENT010",))


def test_says_what_is_missing() -> None:
    (check,) = scan_columns("ENT010", {"entropy": [1.0] * 20}).skipped
    assert check.reason == "needs entropy_coef"
