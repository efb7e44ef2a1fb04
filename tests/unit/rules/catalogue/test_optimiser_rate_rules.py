from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

Columns = dict[str, list[float | None]]
EPOCHS: list[float | None] = [0.1 * i for i in range(8)]
SB3, TRL = {"framework": "sb3"}, {"framework": "trl"}


@pytest.mark.parametrize(
    ("columns", "options", "first_step"),
    [
        ({"lr": [0.02] * 8}, SB3, 3),
        ({"lr": [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.05, 0.05], "epoch": EPOCHS}, TRL, 7),
    ],
)
def test_a_rate_that_nobody_published(columns: Columns, options: dict[str, Any], first_step: int) -> None:
    (finding,) = scan_columns("OPT015", columns, **options).findings
    assert (finding.first_step, finding.severity) == (first_step, "warn")


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"lr": [0.01] * 8}, SB3),
        ({"lr": [0.02, 0.02, 0.005] * 3}, SB3),
        ({"lr": [0.03] * 8, "epoch": EPOCHS}, TRL),  # prompt tuning
        ({"lr": [1.5] * 8}, TRL),  # a table, in a loop that took over TRL's names
    ],
)
def test_a_rate_that_somebody_used_is_quiet(columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns("OPT015", columns, **options)
    assert (report.findings, report.checked) == ((), ("OPT015",))


@pytest.mark.parametrize(("rate", "found"), [(10.0, 0), (10.5, 1), (1e308, 1)])
def test_a_loop_of_ones_own_may_have_any_rate_that_an_optimiser_has(rate: float, found: int) -> None:
    assert len(scan_columns("OPT015", {"lr": [rate] * 20}).findings) == found
