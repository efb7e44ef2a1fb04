"""Aggregates of scores, compared with scipy and with values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rldk.core.stats.aggregate import (
    interquartile_mean,
    interquartile_means,
    performance_profile,
    probability_of_improvement,
    seeds_needed,
    stratified_interval,
)


def test_the_interquartile_mean_is_scipys_trimmed_mean() -> None:
    scores = np.random.default_rng(1).normal(size=(3, 9))
    assert interquartile_mean(list(scores)) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    assert interquartile_mean([np.array([0.0, 1.0, 2.0, 1000.0])]) == 1.5


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for place in range(60):
        low, high = stratified_interval([rng.normal(size=20)], interquartile_means, seed=place, draws=300)
        held += low <= 0 <= high
    assert held >= 50


def test_one_run_has_no_interval_and_a_seed_decides_it() -> None:
    assert math.isnan(stratified_interval([np.array([1.0])], interquartile_means, seed=0)[0])
    scores = [np.arange(8.0)]
    assert stratified_interval(scores, interquartile_means, seed=3) == stratified_interval(
        scores, interquartile_means, seed=3
    )


def test_improvement_is_mann_whitneys_u_over_all_pairs() -> None:
    first, second = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0])
    u = stats.mannwhitneyu(first, second).statistic
    assert probability_of_improvement([first], [second]) == pytest.approx(u / 6)


def test_a_profile_by_hand() -> None:
    assert performance_profile([np.array([1.0, 2.0, 3.0, 4.0])], np.array([0.0, 2.0, 9.0])).tolist() == [1, 0.5, 0]


def test_the_number_of_seeds_is_that_of_a_t_test() -> None:
    first, second = np.array([0.0, 2.0]), np.array([1.0, 3.0])  # variance 2, gap 1
    assert seeds_needed(first, second) == math.ceil(2 * 2.8**2 * 2)
    assert seeds_needed(first, first) is None
    assert seeds_needed(first, second[:1]) is None
