from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rldk.core.stats.coupling import LEAST_GROUPS, overall, within_groups
from rldk.core.stats.distance import jensen_shannon, wasserstein
from rldk.core.stats.moments import bowley_skewness, excess_kurtosis, robust_sd, skewness

numbers = st.lists(st.integers(-1000, 1000), min_size=5, max_size=60)


@given(numbers)
def test_moments_are_those_of_scipy(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    if len(set(values)) == 1:
        assert math.isnan(skewness(x))
        assert math.isnan(excess_kurtosis(x))
    else:
        assert skewness(x) == pytest.approx(stats.skew(x), abs=1e-9)
        assert excess_kurtosis(x) == pytest.approx(stats.kurtosis(x), abs=1e-9)


@given(numbers, numbers)
def test_wasserstein_is_that_of_scipy(a: list[int], b: list[int]) -> None:
    x, y = np.array(a, dtype=float), np.array(b, dtype=float)
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-9)


@pytest.mark.parametrize("distance", [wasserstein, jensen_shannon])
def test_nothing_is_no_distance_from_anything(distance: Any) -> None:
    assert math.isnan(distance(np.array([]), np.ones(9)))
    assert math.isnan(distance(np.ones(9), np.array([])))


@given(numbers)
def test_ranks_of_one_group_give_the_spearman_of_scipy(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    y = np.roll(x, 1) * 2 + np.arange(len(x))
    if len(set(values)) > 1 and len(set(y.tolist())) > 1:
        expected = stats.spearmanr(x, y).statistic
        assert overall(x, y).rho == pytest.approx(expected, abs=1e-9)  # type: ignore[arg-type]
        assert within_groups(x, y, np.zeros(len(x), dtype=int)).rho == pytest.approx(expected, abs=1e-9)  # type: ignore[arg-type]


@pytest.mark.parametrize(("measure", "least"), [(skewness, 3), (excess_kurtosis, 4), (bowley_skewness, 4)])
def test_a_shape_needs_so_many_values(measure: Any, least: int) -> None:
    assert math.isnan(measure(np.arange(least - 1.0)))
    assert not math.isnan(measure(np.arange(float(least))))


def test_bowley_sees_the_middle_and_not_the_tail() -> None:
    middle = np.array([0.0, 1.0, 2.0, 6.0, 7.0])
    assert bowley_skewness(middle) == pytest.approx((6 + 1 - 4) / 5)
    assert bowley_skewness(np.array([1.0, 2, 3, 4, 1e9])) == pytest.approx(0.0)
    assert math.isnan(bowley_skewness(np.ones(9)))


def test_robust_sd_is_that_of_a_normal_sample_and_ignores_outliers() -> None:
    x = np.random.default_rng(0).normal(0, 2, 20_000)
    x[:500] = 1e6
    assert robust_sd(x) == pytest.approx(2, rel=0.05)
    assert robust_sd(np.array([1.0, 1, 1, 5])) > 0


def test_jensen_shannon_is_0_for_twins_and_1_without_overlap() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4000))
    assert jensen_shannon(a, b) < 0.01
    assert jensen_shannon(a, b + 100) == pytest.approx(1.0)
    assert jensen_shannon(a, b + 1) == pytest.approx(jensen_shannon(b + 1, a))
    assert math.isnan(jensen_shannon(a, a[:0]))


def prompts(rng: np.random.Generator, *, within: float, between: float, groups: int = 100) -> tuple[np.ndarray, ...]:
    """Lengths and rewards of four answers to each prompt; how strongly length pays within and between prompts."""
    group = np.repeat(np.arange(groups), 4)
    difficulty = rng.normal(size=groups)[group]
    own = rng.normal(size=len(group))
    length = 100 + 30 * difficulty + 20 * own
    reward = between * difficulty + within * own + rng.normal(size=len(group))
    return length, reward, group


def test_a_confounded_correlation_vanishes_within_prompts_and_a_masked_one_appears() -> None:
    rng = np.random.default_rng(1)
    confounded = prompts(rng, within=0.0, between=-2.0)
    masked = prompts(rng, within=2.0, between=-3.0)
    assert overall(*confounded[:2]).rho < -0.4
    assert abs(within_groups(*confounded).rho) < 0.12
    assert overall(*masked[:2]).rho < 0.2
    assert within_groups(*masked).rho > 0.7


@pytest.mark.parametrize("within", [0.0, 0.35, 1.0])
def test_the_interval_covers_the_truth_as_often_as_it_says(within: float) -> None:
    rng = np.random.default_rng(2)
    truth = within_groups(*prompts(rng, within=within, between=1.0, groups=20_000)).rho
    found = [within_groups(*prompts(rng, within=within, between=1.0)) for _ in range(300)]
    assert 0.9 <= np.mean([c.low <= truth <= c.high for c in found]) <= 0.98


def test_few_groups_have_no_interval_and_lone_answers_say_nothing() -> None:
    x = np.arange(8.0)
    few = within_groups(x, x, np.repeat([0, 1], 4))
    assert (few.rho, few.groups, few.n) == (1.0, 2, 8)
    assert math.isnan(few.least)
    lone = within_groups(x, x, np.arange(8))
    assert (lone.groups, lone.n) == (0, 0)
    assert math.isnan(lone.rho)


@settings(max_examples=at_most(30))
@given(st.permutations(range(24)))
def test_the_order_of_the_samples_does_not_matter(order: list[int]) -> None:
    length, reward, group = prompts(np.random.default_rng(3), within=1.0, between=0.0, groups=6)
    mixed = within_groups(length[order], reward[order], group[order])
    assert mixed.rho == pytest.approx(within_groups(length, reward, group).rho)


@pytest.mark.parametrize(("a", "b"), [(np.ones(20), np.arange(20.0)), (np.arange(20.0), np.ones(20))])
def test_what_does_not_vary_goes_together_with_nothing(a: Any, b: Any) -> None:
    for found in (overall(a, b), within_groups(a, b, np.zeros(20, dtype=int))):
        assert math.isnan(found.rho)
        assert math.isnan(found.least)


@pytest.mark.parametrize(("groups", "told"), [(LEAST_GROUPS - 1, False), (LEAST_GROUPS, True)])
def test_an_interval_needs_ten_groups_in_which_both_vary(groups: int, told: bool) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(groups + 2), 4)
    a, b = rng.normal(size=len(group)), rng.normal(size=len(group))
    a[group >= groups] = 1.0  # two groups more, that say nothing
    found = within_groups(a, b, group)
    assert (found.low <= found.rho <= found.high) == told
    assert found.groups == groups + 2
