"""Bootstrap intervals, against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from examples import each_of
from scipy import stats

from rldk.core.stats import resampling
from rldk.core.stats.resampling import batch_means, bootstrap_interval, means, medians


@each_of(("statistic", "oracle"), [(means, np.mean), (medians, np.median)])
@each_of("level", [0.8, 0.95])
def test_an_interval_is_that_of_scipy(statistic: resampling.Statistic, oracle: object, level: float) -> None:
    data = np.random.default_rng(3).lognormal(size=61)
    draws = 20_000
    made = bootstrap_interval(data, statistic, seed=1, level=level, draws=draws)
    theirs = stats.bootstrap((data,), oracle, confidence_level=level, n_resamples=draws, rng=5).confidence_interval
    assert made == pytest.approx((theirs.low, theirs.high), rel=0.05)


def test_the_seed_decides() -> None:
    data = np.arange(30.0) ** 2
    assert bootstrap_interval(data, seed=1) == bootstrap_interval(data, seed=1)
    assert bootstrap_interval(data, seed=1) != bootstrap_interval(data, seed=2)


def test_the_memory_of_one_draw_does_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.arange(30.0) ** 2
    whole = bootstrap_interval(data, seed=1, draws=500)
    monkeypatch.setattr(resampling, "CELLS", 7 * 30)
    assert bootstrap_interval(data, seed=1, draws=500) == whole


@each_of("data", [[], [1.0], [1.0, math.nan], [1.0, math.inf, 2.0]])
def test_what_has_no_interval(data: list[float]) -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(data, seed=0))


def test_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap_interval([2.0] * 9, seed=0) == (2.0, 2.0)
    low, high = bootstrap_interval([0.0, 1.0], seed=0)
    assert 0.0 <= low <= high <= 1.0


def test_batches_are_runs_of_neighbours() -> None:
    assert batch_means([1, 2, 3, 4, 5, 6, 7], 3).tolist() == [2.0, 4.5, 6.5]
    assert batch_means([1, 2, 3], 3).tolist() == [1, 2, 3]
    assert batch_means([1, 3, 2, 4], 3).tolist() == [2.0, 2.0, 4.0]
