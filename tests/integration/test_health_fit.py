"""The fit of the health score."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.health import EVIDENCE, Data, cross_validated, fit, interval, probability, reliability


def made(n: int = 400) -> Data:
    """Runs whose log-odds are 2 - 3 warned - 0.5 critical, and grow with the strain, which no fit may believe."""
    rng = np.random.default_rng(3)
    evidence = np.column_stack([rng.integers(0, 3, n), rng.integers(0, 2, n), rng.uniform(0, 2, n)]).astype(float)
    odds = 2 - 3 * evidence[:, 0] - 0.5 * evidence[:, 1] + evidence[:, 2]
    healthy = rng.random(n) < 1 / (1 + np.exp(-odds))
    fault = np.where(healthy, "none", rng.choice(["a", "b", "c"], n))
    return Data(evidence=evidence, healthy=healthy, fault=fault)


@pytest.mark.slow
def test_weights_are_found_and_never_above_zero() -> None:
    data = made()
    b = fit(data.evidence, data.healthy)
    assert len(b) == len(EVIDENCE) + 1
    assert b[1] == pytest.approx(-3, abs=0.6)
    assert b[3] == 0
    assert all(b[1:] <= 0)


@pytest.mark.slow
def test_every_pair_is_ordered_by_a_model_that_saw_neither() -> None:
    data = made(50)
    won, told = cross_validated(data)
    assert not np.isnan(won).any()
    low, high = interval(won, data.fault[~data.healthy], np.random.default_rng(0))
    assert low <= won.mean() <= high
    assert ((told > 0) & (told < 1)).all()


def test_reliability_counts_every_run() -> None:
    data = made()
    told = probability(fit(data.evidence, data.healthy), data.evidence)
    table = reliability(told, data.healthy)
    assert sum(row["runs"] for row in table) == 400
    assert all(row["from"] <= row["said"] <= row["to"] for row in table)
