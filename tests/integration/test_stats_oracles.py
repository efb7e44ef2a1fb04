"""Statistics of rewards and evaluations against statsmodels and scikit-learn, which the package does not need."""

from __future__ import annotations

import numpy as np
import pytest

from rldk.core.stats.calibration import (
    brier_score,
    calibration_bins,
    expected_calibration_error,
    isotonic,
    logistic_slope,
)
from rldk.core.stats.clustered import clustered_difference, clustered_mean, clustered_mean_ratio
from rldk.core.stats.contrasts import cohen_kappa, newcombe
from rldk.core.stats.coupling import within_groups
from rldk.core.stats.paired import false_discovery, holm
from rldk.core.stats.proportions import sign_test, wilson
from rldk.core.stats.ranking import auc

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SEEDS = range(5)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (7, 7), (1, 20), (13, 400), (250, 2000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_is_that_of_statsmodels(hits: int, n: int, level: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    np.testing.assert_allclose(
        wilson(hits, n, level), proportion_confint(hits, n, 1 - level, method="wilson"), atol=1e-12
    )


@pytest.mark.parametrize(("a", "b"), [((56, 70), (48, 80)), ((0, 20), (3, 25)), ((20, 20), (7, 30)), ((5, 9), (5, 9))])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_difference_of_rates_is_newcombes_of_statsmodels(
    a: tuple[int, int], b: tuple[int, int], level: float
) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = newcombe(*a, *b, level)
    oracle = confint_proportions_2indep(*a, *b, method="newcomb", alpha=1 - level)
    np.testing.assert_allclose((found.low, found.high), oracle, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_kappa_has_the_value_and_chance_of_statsmodels_and_wilsons_interval_of_the_agreement(seed: int) -> None:
    from statsmodels.stats.inter_rater import cohens_kappa, to_table
    from statsmodels.stats.proportion import proportion_confint

    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, 120)
    second = np.where(rng.random(120) < 0.5, first, rng.integers(0, 3, 120))
    found, oracle = cohen_kappa(first.tolist(), second.tolist()), cohens_kappa(to_table(np.c_[first, second])[0])
    assert found.value == pytest.approx(oracle.kappa)
    agreed, chance = int((first == second).sum()), 1 - (1 - (first == second).mean()) / (1 - oracle.kappa)
    ends = np.array(proportion_confint(agreed, 120, method="wilson"))
    np.testing.assert_allclose((found.low, found.high), (ends - chance) / (1 - chance), atol=1e-9)


@pytest.mark.parametrize("method", ["Jeffreys", "Clopper-Pearson"])
def test_the_intervals_that_are_compared_with_wilsons_are_those_of_statsmodels(method: str) -> None:
    from benchmarks.rate_intervals import METHODS
    from statsmodels.stats.proportion import proportion_confint

    name = {"Jeffreys": "jeffreys", "Clopper-Pearson": "beta"}[method]
    for n, p in ((20, 0.05), (50, 0.3), (100, 0.02)):
        low, high = proportion_confint(np.arange(n + 1), n, method=name)
        if method == "Jeffreys":
            low[0], high[-1] = 0.0, 1.0
        np.testing.assert_array_equal(METHODS[method](n, p), (low <= p) & (p <= high))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ratio_of_means_has_the_error_of_statsmodels(seed: int) -> None:
    from scipy.stats import t
    from statsmodels.api import OLS

    rng = np.random.default_rng(seed)
    group, part = np.repeat(np.arange(40), 5), rng.integers(0, 3, 200)
    y = np.exp(rng.normal(size=40)[group] + rng.normal(size=200)) * (1 + part)
    used = part < 2
    design = np.column_stack([part[used] == 1, part[used] == 0]).astype(float)
    cov = {"groups": group[used], "use_correction": False}
    fit = OLS(y[used], design).fit(cov_type="cluster", cov_kwds=cov)
    slope = np.array([1, -1]) / fit.params  # of the log of the ratio
    found, count = (
        clustered_mean_ratio(np.asarray(y, dtype=np.float64), part == 1, part == 0, group),
        len(set(group[used])),
    )
    half = t.ppf(0.975, count - 1) * np.sqrt(slope @ fit.cov_params() @ slope * count / (count - 1))
    assert found.value == pytest.approx(fit.params[0] / fit.params[1])
    assert np.log(found.high / found.low) / 2 == pytest.approx(half)


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_p_values_are_those_of_statsmodels(seed: int) -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(seed).beta(0.4, 2, 25).round(3).tolist()  # with ties and zeros
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
    np.testing.assert_allclose(false_discovery(p), multipletests(p, method="fdr_bh")[1], atol=1e-12)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (3, 3), (1, 9), (40, 22)])
def test_a_sign_test_is_the_exact_test_of_mcnemar(gained: int, lost: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    table = [[5, gained], [lost, 5]]
    assert sign_test(gained, lost) == pytest.approx(mcnemar(table, exact=True).pvalue if gained + lost else 1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mean_in_clusters_has_the_interval_of_statsmodels(seed: int) -> None:
    from statsmodels.api import OLS

    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    y = rng.normal(size=len(group)) + rng.normal(size=30)[group]
    fit = OLS(y, np.ones((len(y), 1))).fit(cov_type="cluster", cov_kwds={"groups": group}, use_t=True)
    found = clustered_mean(y, group)
    np.testing.assert_allclose((found.low, found.high), fit.conf_int()[0], atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_difference_in_shared_clusters_has_the_error_of_statsmodels(seed: int) -> None:
    from statsmodels.api import OLS

    rng = np.random.default_rng(seed)
    group = np.tile(np.repeat(np.arange(40), 3), 2)
    arm = np.repeat([1.0, 0.0], 120)
    y = rng.normal(size=240) + rng.normal(size=40)[group] + 0.3 * arm
    design = np.column_stack([np.ones(240), arm])
    cov = {"groups": group, "use_correction": False}
    fit = OLS(y, design).fit(cov_type="cluster", cov_kwds=cov, use_t=True)
    found = clustered_difference(y[:120], y[120:], group[:120], group[120:])
    half = (found.high - found.low) / 2
    from scipy.stats import t

    assert found.value == pytest.approx(fit.params[1])
    assert half == pytest.approx(t.ppf(0.975, 39) * fit.bse[1] * np.sqrt(40 / 39))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_logistic_slope_has_the_robust_interval_of_statsmodels(seed: int) -> None:
    from scipy.stats import t
    from statsmodels.api import Logit

    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(60), 5)
    x = rng.normal(size=300)
    y = (rng.random(300) < 1 / (1 + np.exp(-0.8 * x - rng.normal(size=60)[group]))).astype(float)
    cov = {"groups": group, "use_correction": False}
    fit = Logit(y, np.column_stack([np.ones(300), x])).fit(disp=0, cov_type="cluster", cov_kwds=cov)
    found = logistic_slope(x, y, group)
    assert found.value == pytest.approx(fit.params[1], abs=1e-6)
    half = t.ppf(0.975, 59) * fit.bse[1] * np.sqrt(60 / 59)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_partial_coupling_is_that_of_a_regression_with_a_constant_for_each_prompt(seed: int) -> None:
    from scipy.stats import rankdata
    from statsmodels.api import OLS

    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(50), 4)
    other = rng.normal(size=200)
    a, b = other + rng.normal(size=200), other + 0.5 * rng.normal(size=200)
    ranks = [np.concatenate([rankdata(part) for part in v.reshape(50, 4)]) for v in (a, b, other)]
    prompts = (group[:, None] == np.arange(50)).astype(float)
    design = np.column_stack([prompts, ranks[2]])
    left = [OLS(v, design).fit().resid for v in ranks[:2]]
    assert within_groups(a, b, group, given=[other]).rho == pytest.approx(np.corrcoef(*left)[0, 1])


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_is_that_of_scikit_learn(seed: int) -> None:
    from sklearn.calibration import calibration_curve
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(seed)
    p = rng.beta(2, 2, 1000)
    y = (rng.random(1000) < p**1.5).astype(float)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p))
    said, seen, sizes = calibration_bins(p, y)
    rate, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(said, mean)
    np.testing.assert_allclose(seen, rate)
    assert expected_calibration_error(p, y) == pytest.approx(np.average(np.abs(rate - mean), weights=sizes))
    np.testing.assert_allclose(isotonic(p, y), IsotonicRegression().fit_transform(p, y), atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_area_under_a_curve_is_that_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    above, below = rng.normal(0.5, 1, 40).round(1), rng.normal(0, 1, 60).round(1)  # with ties
    labels = np.repeat([1, 0], [40, 60])
    assert auc(above.tolist(), below.tolist()) == pytest.approx(roc_auc_score(labels, np.concatenate([above, below])))
