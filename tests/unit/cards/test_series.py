"""Decimation keeps what a report must show."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.cards.series import POINTS, extremes, key_series, series_of
from rldk.testing import run_of


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40))
def test_extremes_survive_in_order(values: list[float], buckets: int) -> None:
    array = np.array(values)
    kept = extremes(array, buckets)
    assert array[kept].min() == array.min()
    assert array[kept].max() == array.max()
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 2 * buckets + 2


@pytest.mark.slow
def test_one_spike_in_a_hundred_thousand_rows_survives() -> None:
    values = np.zeros(100_000)
    values[61_803] = 9.0
    series = series_of(run_of({"kl": values.tolist()}).metrics, "kl")
    assert 9.0 in series["value"]
    assert len(series["value"]) <= 2 * POINTS + 2


def test_stated_nan_and_infinity_are_gaps_and_missing_is_nothing() -> None:
    series = series_of(run_of({"kl": [0.1, None, math.nan, math.inf, 0.2]}).metrics, "kl")
    assert series == {"step": [1, 5], "value": [0.1, 0.2], "gaps": [3, 4], "rows": 4}
    json.dumps(series, allow_nan=False)


def test_a_restart_breaks_the_line() -> None:
    series = series_of(run_of({"kl": [1.0, 2.0, 3.0]}, step=[1, 2, 1]).metrics, "kl")
    assert series["value"] == [1.0, 2.0, None, 3.0]


def test_the_phase_with_most_rows_is_drawn() -> None:
    run = run_of({"kl": [1.0, 2.0, 7.0]}, phase=["train", "train", "eval"])
    assert series_of(run.metrics, "kl")["value"] == [1.0, 2.0]


def test_metrics_of_findings_come_first_and_single_values_are_left_out() -> None:
    run = run_of({"kl": [0.1, 0.2], "reward_mean": [1.0, 2.0], "odd": [3.0, 4.0], "loss": [1.0, None]})
    assert list(key_series(run.metrics, ["odd", "absent"], ["kl"])) == ["odd", "reward_mean", "kl"]
