"""Columns with names of the log's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from examples import each_of

from rldk.core.model import Report
from rldk.testing import scan_columns

FINE: list[Any] = [1.0 + 0.1 * (i % 3) for i in range(30)]


def _report(values: list[Any], name: str = "critic_mse") -> Report:
    return scan_columns("MET006", {name: values, "kl": [0.1] * len(values)})


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")])
def test_a_column_that_stays_broken_is_named(bad: float, word: str) -> None:
    (found,) = _report([*FINE, *[bad] * 8]).findings
    assert (found.metric, found.severity, found.onset, found.first_step) == ("critic_mse", "warn", 31, 35)
    assert found.message == f"critic_mse is {word} and stays so, after 30 finite values"
    assert found.ongoing


@each_of(
    "values",
    [
        [*FINE, *[math.nan] * 4, *FINE],  # comes back
        [*FINE[:10], *[math.nan] * 20],  # hardly a past
        [*[math.nan, *FINE[:4]] * 8, *[math.nan] * 8],  # NaN now and then by design
        [*FINE, *[None] * 20],  # not logged any more
    ],
)
def test_a_column_that_may_be_so_is_left_alone(values: list[Any]) -> None:
    assert _report(values).findings == ()


def test_known_metrics_are_not_its_business() -> None:
    report = _report([*FINE, *[math.nan] * 8], name="value_loss")
    assert report.findings == ()
    assert report.skipped[0].reason == "needs a column whose name rldk does not know"


def test_a_column_that_broke_once_before_may_break_for_good() -> None:
    (found,) = _report([*FINE, *FINE, math.nan, *FINE, *[math.nan] * 8]).findings
    assert found.first_step == 96
