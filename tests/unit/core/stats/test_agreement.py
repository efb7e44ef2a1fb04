"""How far scorers are apart, against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rldk.core.stats.agreement import centred_scores, mean_rank_correlation, normal_scores, spread_between
from rldk.core.stats.clustered import clustered_mean_ratio, clustered_scale_ratio

VALUES = st.lists(st.integers(-9, 9), min_size=2, max_size=40)


@given(VALUES)
def test_normal_scores_are_the_quantiles_of_the_ranks(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    expected = stats.norm.ppf((stats.rankdata(x) - 0.5) / len(x))
    np.testing.assert_allclose(normal_scores(x), expected, atol=1e-9)
    np.testing.assert_array_equal(normal_scores(x), normal_scores(np.exp(x)))


@given(VALUES)
def test_centred_scores_have_the_median_absolute_deviation_of_a_normal_sample(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    unit = stats.median_abs_deviation(x, scale="normal")
    if unit > 0:
        np.testing.assert_allclose(centred_scores(x), (x - np.median(x)) / unit, rtol=1e-4)
    assert np.isfinite(centred_scores(x)).all()


def test_a_mostly_constant_scorer_is_in_standard_deviations_and_a_constant_one_is_0() -> None:
    x = np.array([0.0] * 8 + [5.0, 6.0])
    np.testing.assert_allclose(centred_scores(x), x / x.std())
    assert not centred_scores(np.ones(9)).any()


def test_the_agreement_is_the_mean_spearman_and_unknown_for_a_constant() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).round(1)
    off = stats.spearmanr(x).statistic[np.triu_indices(4, 1)]
    assert mean_rank_correlation(x) == pytest.approx(off.mean())
    x[:, 2] = 1.0
    assert math.isnan(mean_rank_correlation(x))
    np.testing.assert_allclose(spread_between(x), np.std(x, axis=1, ddof=1))


def test_a_ratio_of_means_is_of_the_two_parts_and_needs_means_above_0() -> None:
    x = np.array([2.0, 4.0, 1.0, 3.0, 100.0] * 10)
    first, second = np.tile([1, 1, 0, 0, 0], 10) == 1, np.tile([0, 0, 1, 1, 0], 10) == 1
    found = clustered_mean_ratio(x, first, second)
    assert (found.value, found.n) == (1.5, 40)
    assert found.low < 1.5 < found.high
    assert math.isnan(clustered_mean_ratio(-x, first, second).value)
    assert math.isnan(clustered_mean_ratio(x, first, np.zeros(50, dtype=bool)).value)


def test_a_ratio_that_no_float_holds_is_unknown() -> None:
    wide, narrow = np.array([1e308, -1e308] * 5), np.array([1e-300, -1e-300] * 5)
    with np.errstate(all="ignore"):
        assert math.isnan(clustered_scale_ratio(narrow, wide, None, None).value)
        both = np.concatenate((np.abs(narrow), np.full(10, 1e300)))
        first = np.arange(20) < 10
        assert math.isnan(clustered_mean_ratio(both, first, ~first).value)
