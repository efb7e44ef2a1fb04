"""Rank correlation, the share that labels explain, and permutation tests, against scipy and by enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from examples import each_of
from scipy.stats import kruskal, spearmanr

from rldk.core.stats.aggregate import interquartile_band, interquartile_mean, seed_share, spread_interval
from rldk.core.stats.dependence import (
    explained_rank_share,
    least_p,
    permutation_p,
    rank_correlation,
    rank_correlation_interval,
)


def pair(seed: int, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    setting = rng.integers(0, 3, n)
    setting[:3] = (0, 1, 2)
    return setting, np.round(setting * 0.5 + rng.normal(size=n), 1)


@each_of("seed", range(5))
def test_the_statistics_are_those_of_scipy(seed: int) -> None:
    labels, scores = pair(seed)
    assert rank_correlation(labels.astype(float), scores) == pytest.approx(spearmanr(labels, scores).statistic)
    h = kruskal(*(scores[labels == label] for label in range(3))).statistic
    assert explained_rank_share(labels, scores) == pytest.approx(h / (scores.size - 1))


def test_the_permutation_test_is_that_of_all_orders() -> None:
    labels, scores = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([1.0, 2, 4, 3, 5, 6, 7])
    # all orders in which the three and the four can be told apart
    shares = np.array(
        [explained_rank_share(~np.isin(range(7), three) * 1, scores) for three in combinations(range(7), 3)]
    )
    exact = float(np.mean(shares >= explained_rank_share(labels, scores) - 1e-9))
    assert permutation_p(labels, scores, seed=1) == pytest.approx(exact, abs=0.015)
    numbers = labels.astype(float)
    assert permutation_p(labels, scores, ordered=numbers, seed=1) == pytest.approx(exact, abs=0.015)  # two values


@pytest.mark.slow
def test_healthy_settings_are_called_different_as_often_as_promised() -> None:
    """100 settings that mean nothing: at 5 %, more than 12 would be a one-in-a-thousand accident."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 4)
    found = [permutation_p(labels, rng.normal(size=12), seed=i) for i in range(100)]
    assert sum(p <= 0.05 for p in found) <= 12


def test_the_least_p_of_three_against_three_is_a_tenth() -> None:
    assert least_p(np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(0.1)
    assert least_p(np.array([0, 0, 0, 0])) == 1.0


def test_equal_scores_depend_on_nothing() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert permutation_p(labels, np.ones(8), seed=0) == 1.0
    assert np.isnan(explained_rank_share(labels, np.ones(8)))
    assert np.isnan(rank_correlation(np.ones(8), np.arange(8.0)))


def test_the_interval_of_a_correlation_holds_it_and_needs_five() -> None:
    low, high = rank_correlation_interval(0.6, 20)
    assert low < 0.6 < high
    assert np.isnan(rank_correlation_interval(0.6, 4)).all()
    assert rank_correlation_interval(0.6, 200)[0] > low


def test_the_interval_of_a_spread_holds_it_in_95_of_100() -> None:
    rng = np.random.default_rng(1)
    ends = [spread_interval(rng.normal(0, 2, 5)) for _ in range(400)]
    assert 0.92 <= np.mean([low <= 2 <= high for low, high in ends]) <= 0.98
    assert np.isnan(spread_interval(np.ones(1))).all()


def test_the_share_of_the_seed_by_hand() -> None:
    assert seed_share([np.array([0.0, 2.0]), np.array([4.0, 6.0])]) == pytest.approx(4 / 20)
    assert seed_share([np.array([1.0, 2.0])]) is None
    assert seed_share([np.ones(2), np.ones(2)]) is None


def test_a_band_is_that_of_each_step_and_lies_within_the_runs() -> None:
    curves = np.random.default_rng(2).normal(size=(6, 4))
    middle, low, high = interquartile_band(curves, seed=0)
    assert middle == pytest.approx([interquartile_mean([column]) for column in curves.T])
    assert np.all((curves.min(axis=0) <= low) & (low <= middle) & (middle <= high) & (high <= curves.max(axis=0)))
    assert np.isnan(interquartile_band(curves[:1], seed=0)[1]).all()
