"""The statistics of rewards, against scipy or by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import isotonic_regression, minimize

from rldk.core.external.scratch import Scratch
from rldk.core.stats.calibration import (
    calibration_bins,
    calibration_error_by_chance,
    expected_calibration_error,
    isotonic,
    logistic_slope,
    reliability_parts,
    sigmoid,
)
from rldk.core.stats.clustered import (
    average_ranks,
    clustered_correlation,
    clustered_difference,
    clustered_mean,
    clustered_scale_ratio,
    clustered_share,
    codes_of,
    paired_scale_ratio,
)
from rldk.core.stats.coupling import GroupRanks, residuals, within_groups
from rldk.core.stats.kendall import order_agreement
from rldk.core.stats.label_noise import flipped_share
from rldk.core.stats.minhash import text_signatures
from rldk.core.stats.near_texts import NearTexts
from rldk.core.stats.paired import false_discovery
from rldk.core.stats.permutation import permutation_distance
from rldk.core.stats.proportions import wilson
from rldk.core.stats.student import t_quantile

FEW = st.lists(st.integers(0, 6), min_size=2, max_size=60)


@each_of("freedom", [1, 2, 3, 4, 5, 9, 29, 300])
def test_t_quantile_is_that_of_scipy(freedom: int) -> None:
    for share in (0.001, 0.025, 0.4, 0.5, 0.6, 0.9, 0.975, 0.999):
        assert t_quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=1e-4, abs=1e-9)


@given(FEW, st.integers(0, 2**31))
def test_kendall_is_that_of_scipy_and_counts_every_pair(values: list[int], seed: int) -> None:
    a = np.array(values, dtype=float)
    b = np.random.default_rng(seed).integers(0, 5, len(a)) + (a > 3)
    found = order_agreement(a, b.astype(float))
    expected = stats.kendalltau(a, b).statistic
    assert found.tau == pytest.approx(expected, abs=1e-12) or (math.isnan(expected) and math.isnan(found.tau))
    total = found.agree + found.disagree + found.tied_a + found.tied_b + found.tied_both
    assert total == len(a) * (len(a) - 1) // 2


@given(FEW, st.integers(0, 2**31))
def test_isotonic_is_that_of_scipy(values: list[int], seed: int) -> None:
    p = np.array(values, dtype=float) / 6
    y = (np.random.default_rng(seed).random(len(p)) < p).astype(float)
    levels, place, count = np.unique(p, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=y) / count
    assert isotonic(p, y) == pytest.approx(isotonic_regression(means, weights=count).x[place])
    assert len(levels) <= 7


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_false_discovery_is_that_of_scipy(p: list[float]) -> None:
    assert false_discovery(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-12)
    assert math.isnan(false_discovery([math.nan, *p])[0])


@given(FEW)
def test_ranks_are_those_of_scipy(values: list[int]) -> None:
    assert average_ranks(np.array(values, dtype=float)) == pytest.approx(stats.rankdata(values))


def test_a_mean_of_independent_values_has_the_interval_of_the_t_test() -> None:
    x = np.random.default_rng(1).exponential(size=40)
    found, expected = clustered_mean(x), stats.ttest_1samp(x, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-4)


def test_values_that_are_repeated_in_clusters_count_once() -> None:
    x = np.random.default_rng(2).normal(size=30)
    once, repeated = clustered_mean(x), clustered_mean(np.repeat(x, 5), np.repeat(np.arange(30), 5))
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))
    assert (repeated.n, repeated.clusters) == (150, 30)


def test_a_share_has_the_interval_of_wilson_and_a_wider_one_in_clusters() -> None:
    hits = np.arange(60) % 3 == 0
    found = clustered_share(hits)
    assert (found.low, found.high) == pytest.approx(wilson(20, 60))
    wide = clustered_share(np.repeat(hits, 4), np.repeat(np.arange(60), 4))
    assert (wide.low, wide.high) == pytest.approx(wilson(20, 60), abs=0.003)


def test_a_difference_is_that_of_welch_with_large_samples() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 2, 400), rng.normal(0, 1, 500)
    found, expected = clustered_difference(a, b, None, None), stats.ttest_ind(a, b, equal_var=False)
    between = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((between.low, between.high), rel=0.01)


@pytest.mark.slow
def test_intervals_of_a_scale_and_of_a_correlation_hold_their_level_in_clusters() -> None:
    rng = np.random.default_rng(4)
    held = {"ratio": 0, "paired": 0, "rho": 0}
    cluster = np.repeat(np.arange(80), 5)
    for _ in range(300):
        base, noise = rng.normal(size=80)[cluster], rng.normal(size=(3, 400))
        a, b, other = base + noise[0], 1.5 * (base + noise[1]), rng.normal(size=80)[cluster] + noise[2]
        ratio = clustered_scale_ratio(b, other, cluster, cluster + 80)
        held["ratio"] += ratio.low <= 1.5 <= ratio.high
        paired = paired_scale_ratio(a, b, cluster)
        held["paired"] += paired.low <= 1.5 <= paired.high
        rho = clustered_correlation(a, b, cluster)
        held["rho"] += rho.low <= 0.5 <= rho.high
    assert all(0.92 <= count / 300 <= 0.98 for count in held.values()), held


def test_a_correlation_of_ranks_is_that_of_spearman() -> None:
    rng = np.random.default_rng(5)
    a = rng.integers(0, 9, 200).astype(float)
    b = a + rng.normal(size=200)
    found = clustered_correlation(average_ranks(a), average_ranks(b), None)
    assert found.value == pytest.approx(stats.spearmanr(a, b).statistic)


def test_a_logistic_slope_is_the_maximum_of_the_likelihood() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=500)
    y = (rng.random(500) < sigmoid(0.7 * x - 0.3)).astype(float)

    def loss(beta: np.ndarray) -> float:
        z = beta[0] * x + beta[1]
        return float(np.logaddexp(0, z).sum() - y @ z)

    best = minimize(loss, np.zeros(2)).x
    found = logistic_slope(x, y)
    assert found.value == pytest.approx(best[0], rel=1e-4)
    assert found.low < 0.7 < found.high
    assert math.isnan(logistic_slope(x, (x > 0).astype(float)).value)
    assert math.isnan(logistic_slope(x, np.ones(500)).value)


def test_the_parts_of_the_brier_score_add_up() -> None:
    rng = np.random.default_rng(7)
    p = rng.random(300)
    y = (rng.random(300) < p**2).astype(float)
    parts = reliability_parts(p, y)
    assert parts.brier == pytest.approx(parts.miscalibration - parts.discrimination + parts.uncertainty)
    assert parts.miscalibration > 0
    assert calibration_bins(p, y)[2].sum() == 300


def test_the_error_of_perfect_probabilities_is_within_chance_and_that_of_wrong_ones_is_not() -> None:
    rng = np.random.default_rng(8)
    p = rng.random(1000)
    y = (rng.random(1000) < p).astype(float)
    limit = calibration_error_by_chance(p, seed=0)
    assert expected_calibration_error(p, y) < limit < 0.06
    assert expected_calibration_error(p**3, y) > limit


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_the_share_of_flipped_labels_is_inside_its_interval(share: float) -> None:
    rng = np.random.default_rng(9)
    m = rng.normal(0, 2, 3000)
    y = np.where(rng.random(3000) < sigmoid(2 * m), m, -m)
    found = flipped_share(np.where(rng.random(3000) < share, -y, y))
    assert found.low <= share <= found.high
    assert found.high - found.low < 0.15


def test_coin_tosses_say_nothing_of_flipped_labels() -> None:
    assert math.isnan(flipped_share(np.ones(20)).value)
    found = flipped_share(np.random.default_rng(10).normal(size=500))
    assert found.high > 0.4


@pytest.mark.slow
def test_the_permutation_of_blocks_keeps_its_level_where_single_values_do_not() -> None:
    rng = np.random.default_rng(11)
    found = []
    for seed in range(60):
        block = np.repeat(np.arange(40), 10)
        a, b = (rng.normal(size=40)[block] + 0.2 * rng.normal(size=400) for _ in range(2))
        found.append(
            (
                permutation_distance(a, b, block, block, seed=seed)[1],
                permutation_distance(a, b, None, None, seed=seed)[1],
            )
        )
    blocks, single = np.array(found).T
    assert (blocks < 0.05).mean() <= 0.12
    assert (single < 0.05).mean() > 0.4


def test_a_distance_of_a_constant_or_empty_sample_is_not_known() -> None:
    for a, b in ((np.ones(9), np.ones(9)), (np.zeros(0), np.arange(9.0))):
        assert math.isnan(permutation_distance(a, b, None, None, seed=0)[0])


def test_a_permutation_of_thinned_blocks_says_what_that_of_whole_ones_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight blocks of 400 values whose means differ: the limit of values thins them to 25 each."""
    rng = np.random.default_rng(0)
    block = np.repeat(np.arange(8), 400)
    found = []
    for gap in (0.0, 0.5, 1.0, 2.0):
        a, b = (x + rng.normal(0, 1, 8)[block] + rng.normal(size=3200) for x in (gap, 0.0))
        every = []
        for most in (200, 10_000):
            monkeypatch.setattr("rldk.core.stats.permutation.MOST", most)
            every.append(permutation_distance(a, b, block, block, seed=1))
        found.append(every)
    assert all(thin[0] == whole[0] and abs(thin[1] - whole[1]) < 0.05 for thin, whole in found)
    assert found[0][0][1] > 0.1 > found[-1][0][1]


def test_a_partial_coupling_is_that_of_the_residuals_and_removes_a_confounder() -> None:
    rng = np.random.default_rng(12)
    group = np.repeat(np.arange(200), 5)
    z = rng.normal(size=1000)
    a, b = z + 0.5 * rng.normal(size=1000), z + 0.5 * rng.normal(size=1000)
    plain, found = within_groups(a, b, group), within_groups(a, b, group, given=(z,))
    assert plain.low > 0.4
    assert abs(found.rho) < 0.35 * plain.rho  # ranks leave a part of it: five answers have few ranks
    ranks = GroupRanks(group)
    x, y, fixed = ranks.of(a), ranks.of(b), ranks.of(z)[:, None]
    expected = np.corrcoef(residuals(x, fixed), residuals(y, fixed))[0, 1]
    assert found.rho == pytest.approx(expected, abs=1e-9)


def test_presence_has_the_ranks_of_its_numbers() -> None:
    rng = np.random.default_rng(13)
    group, present = rng.integers(0, 30, 200), rng.random((200, 3)) < 0.3
    ranks = GroupRanks(group)
    columns = ranks.of_presence(present)
    for place in range(3):
        assert columns[:, place] == pytest.approx(ranks.of(present[:, place].astype(float)))


def test_clusters_that_hold_several_groups_widen_the_interval() -> None:
    rng = np.random.default_rng(14)
    group, cluster = np.repeat(np.arange(200), 3), np.repeat(np.arange(20), 30)
    slope = rng.choice([-1.0, 1.0], 20)[cluster]
    a = rng.normal(size=600)
    b = slope * a + 0.3 * rng.normal(size=600)
    alone, together = within_groups(a, b, group), within_groups(a, b, group, cluster=cluster)
    assert together.rho == alone.rho
    assert together.error > 1.5 * alone.error


def test_near_copies_are_found_and_other_texts_are_not() -> None:
    rng = np.random.default_rng(15)
    words = np.array([f"w{i}" for i in range(500)])
    texts = [" ".join(rng.choice(words, 60)) for _ in range(40)]
    changed = [text.replace(text.split()[5], "other", 1) for text in texts[:20]]
    found = near_texts([*changed, ""], texts)
    assert found[:20].mean() >= 0.9
    assert not found[20]
    others = [" ".join(rng.choice(words, 60)) for _ in range(40)]
    assert not near_texts(others, texts).any()


def near_texts(kept: list[str], others: list[str]) -> NDArray[np.bool_]:
    with Scratch() as scratch:
        near = NearTexts(scratch)
        near.keep(text_signatures(kept))
        near.search(text_signatures(others))
        return near.found()


@given(st.lists(st.integers(-5, 5), max_size=30))
def test_codes_are_without_gaps_and_tell_labels_apart(labels: list[int]) -> None:
    codes = codes_of(np.array(labels, dtype=np.int64))
    assert sorted(set(codes.tolist())) == list(range(len(set(labels))))
    assert len(set(zip(labels, codes.tolist(), strict=True))) == len(set(labels))
