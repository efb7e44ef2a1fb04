"""Effect sizes and rates against scipy, scikit-learn and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rldk.core.stats.contrasts import clopper_pearson, cohen_kappa, newcombe, newcombe_paired, pass_at_k
from rldk.core.stats.effects import (
    cliffs_delta,
    detectable_difference,
    hedges_g,
    intraclass_correlation,
    paired_d_av,
    paired_d_z,
)
from rldk.core.stats.serial import serial_mean

RNG = np.random.default_rng(5)
A, B = RNG.normal(1.0, 2.0, 40), RNG.normal(0.3, 1.0, 55)


def test_an_exact_interval_is_that_of_scipy() -> None:
    for hits, n in ((0, 20), (3, 50), (50, 50), (7, 1000)):
        low, high = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
        assert clopper_pearson(hits, n) == pytest.approx((low, high), abs=1e-12)


def test_a_difference_of_two_rates_is_newcombes() -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II: example (a) is 56/70 - 48/80."""
    found = newcombe(56, 70, 48, 80)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_difference_of_paired_rates_is_newcombes() -> None:
    """Newcombe 1998, Statistics in Medicine 17:2635, table III: example with cells 36, 12, 2, 0, method 10."""
    found = newcombe_paired(36, 12, 2, 0)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-4)


def test_hedges_g_is_cohens_d_with_the_gamma_correction() -> None:
    n, m = len(A), len(B)
    pooled = math.sqrt(((n - 1) * A.var(ddof=1) + (m - 1) * B.var(ddof=1)) / (n + m - 2))
    t = stats.ttest_ind(A, B).statistic
    assert hedges_g(A, B).value == pytest.approx(
        (A.mean() - B.mean()) / pooled * (1 - 3 / (4 * (n + m - 2) - 1)), rel=1e-3
    )
    assert t * math.sqrt(1 / n + 1 / m) == pytest.approx((A.mean() - B.mean()) / pooled)


def test_cliffs_delta_is_that_of_mann_whitney() -> None:
    u = stats.mannwhitneyu(A, B).statistic
    found = cliffs_delta(A, B)
    assert found.value == pytest.approx(2 * u / (len(A) * len(B)) - 1)
    assert found.low < found.value < found.high


def test_paired_effects_follow_the_t_of_scipy() -> None:
    other = A - 0.4 + RNG.normal(0, 1, len(A))
    t = stats.ttest_rel(A, other).statistic
    factor = 1 - 3 / (4 * (len(A) - 1) - 1)
    assert paired_d_z(A - other).value == pytest.approx(t / math.sqrt(len(A)) * factor, rel=1e-3)
    pooled = math.sqrt((A.var(ddof=1) + other.var(ddof=1)) / 2)
    assert paired_d_av(A, other).value == pytest.approx((A - other).mean() / pooled * factor, rel=1e-3)


@pytest.mark.slow
def test_intervals_of_effect_sizes_cover_the_truth() -> None:
    rng, hits = np.random.default_rng(0), np.zeros(4)
    for _ in range(400):
        a, b = rng.normal(0.5, 1, 60), rng.normal(0, 1, 60)
        pair = b + 0.5 + rng.normal(0, 1, 60)
        truth = (0.5, 2 * stats.norm.cdf(0.5 / math.sqrt(2)) - 1, 0.5, 0.5 / math.sqrt(1.5))
        found = (hedges_g(a, b), cliffs_delta(a, b), paired_d_z(pair - b), paired_d_av(pair, b))
        hits += [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    assert (np.abs(hits / 400 - 0.95) < 0.035).all(), hits / 400


def test_a_detectable_difference_is_found_with_its_power() -> None:
    delta = detectable_difference(2.0, 100)
    power = stats.nct.sf(stats.t.ppf(0.975, 99), 99, delta / 2.0 * math.sqrt(100))
    assert power == pytest.approx(0.8, abs=0.01)


def test_the_intraclass_correlation_is_that_of_the_analysis_of_variance() -> None:
    label = np.repeat(np.arange(12), 5)
    values = RNG.normal(size=12)[label] + RNG.normal(size=60)
    f = stats.f_oneway(*[values[label == i] for i in range(12)]).statistic
    assert intraclass_correlation(values, label) == pytest.approx((f - 1) / (f + 4))


def test_pass_at_k_counts_the_draws_without_a_right_answer() -> None:
    for n, c, k in ((5, 2, 1), (10, 3, 4), (10, 0, 3), (4, 3, 2)):
        assert pass_at_k(n, c, k) == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k))
    assert math.isnan(pass_at_k(3, 1, 4))


@pytest.mark.slow
def test_kappa_is_that_of_scikit_learn_and_its_interval_covers() -> None:
    from sklearn.metrics import cohen_kappa_score

    hits = 0
    for _ in range(200):  # agreement of 0.6 + 0.4 / 3, chance 1 / 3: kappa is 0.6
        first = RNG.integers(0, 3, 150)
        second = np.where(RNG.random(150) < 0.6, first, RNG.integers(0, 3, 150))
        found = cohen_kappa(first.tolist(), second.tolist())
        hits += found.low <= 0.6 <= found.high
    assert found.value == pytest.approx(cohen_kappa_score(first, second))
    assert 180 <= hits <= 199


def test_raters_who_always_agree_are_not_certain_to_agree() -> None:
    found = cohen_kappa(["a", "b"] * 10, ["a", "b"] * 10)
    assert (found.value, found.high) == (pytest.approx(1), pytest.approx(1))
    assert 0.5 < found.low < 0.9


def test_a_serial_mean_has_the_variance_of_an_autoregression() -> None:
    noise = np.random.default_rng(1).standard_normal(4000)
    values = np.zeros(4000)
    for t in range(1, 4000):
        values[t] = 0.8 * values[t - 1] + noise[t]
    found = serial_mean(values)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 5 / math.sqrt(4000), rel=0.2)
    assert 300 < found.clusters < 600
