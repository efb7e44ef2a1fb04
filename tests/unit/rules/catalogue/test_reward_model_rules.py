from __future__ import annotations

import random
from typing import Any

import pytest

from rldk.testing import scan_columns

RM: dict[str, Any] = {"algorithm": "reward_model"}
N = 80


def pairs(chance: float, loss: float) -> dict[str, Any]:
    """Batches of 8 pairs."""
    rng = random.Random(0)
    return {
        "pref_accuracy": [sum(rng.random() < chance for _ in range(8)) / 8 for _ in range(N)],
        "loss": [loss + rng.gauss(0, 0.02) for _ in range(N)],
    }


@pytest.mark.parametrize("loss", [0.6931, 1.2])
def test_fires_at_chance(loss: float) -> None:
    report = scan_columns("RM001", pairs(0.5, loss), **RM)
    assert [(f.first_step, f.severity) for f in report.findings] == [(64, "warn")]


@pytest.mark.parametrize("columns", [pairs(0.65, 0.69), pairs(0.5, 0.66)])
def test_stays_quiet_while_something_is_learnt(columns: dict[str, Any]) -> None:
    report = scan_columns("RM001", columns, **RM)
    assert (report.findings, report.checked) == ((), ("RM001",))


def test_is_patient_in_the_first_fifth_of_a_run() -> None:
    assert scan_columns("RM001", pairs(0.5, 0.6931), total_steps=500, **RM).findings == ()


def test_says_what_is_missing() -> None:
    (check,) = scan_columns("RM001", {"loss": [0.69] * 50}, **RM).skipped
    assert check.reason == "needs pref_accuracy"


def test_scores_that_run_away_are_too_certain() -> None:
    report = scan_columns("RM003", {"pref_margin": [0.5 * i for i in range(60)]}, **RM)
    assert [(f.first_step, f.severity) for f in report.findings] == [(33, "warn")]
    usual = scan_columns("RM003", {"pref_margin": [min(0.1 * i, 5.0) for i in range(60)]}, **RM)
    assert (usual.findings, usual.checked) == ((), ("RM003",))
    (check,) = scan_columns("RM003", {"loss": [0.69] * 50}, **RM).skipped
    assert check.reason == "needs pref_margin"
