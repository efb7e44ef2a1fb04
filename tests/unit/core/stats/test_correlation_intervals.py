"""Intervals of correlations: how often they hold the truth, and where they end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from rldk.core.stats.coupling import overall, within_groups
from rldk.core.stats.fisher import correlation_interval
from rldk.core.stats.label_noise import flipped_share
from rldk.core.stats.spearman import clustered_spearman

Array = NDArray[np.float64]


def noisy(rng: np.random.Generator, n: int, r: float) -> tuple[Array, Array]:
    """Two normal columns with the correlation `r`."""
    a = rng.normal(size=n)
    return a, r * a + math.sqrt(1 - r * r) * rng.normal(size=n)


def test_fifteen_prompts_with_a_strong_coupling_are_covered() -> None:
    """A symmetric interval with the quantile of the normal distribution holds it in 87 of 100 samples."""
    rng, group = np.random.default_rng(0), np.repeat(np.arange(15), 4)
    truth = within_groups(*noisy(rng, 200_000, 0.9), np.repeat(np.arange(50_000), 4)).rho
    found = [within_groups(*noisy(rng, 60, 0.9), group) for _ in range(400)]
    above, below = (float(np.mean(x)) for x in ([c.low > truth for c in found], [c.high < truth for c in found]))
    assert above + below < 0.1
    assert above < 0.07


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [1, 5, 20])
@pytest.mark.parametrize("r", [0.0, 0.6, 0.95])
def test_a_plain_rank_correlation_is_covered_in_blocks_too(blocks: int, r: float) -> None:
    """With the ranks taken as given values, 60 of them with a correlation of 0.98 are covered in 89 of 100 samples."""
    rng, size = np.random.default_rng(1), 240 // blocks
    block = np.repeat(np.arange(blocks), size)
    many = np.repeat(np.arange(400_000 // size), size)
    truth = overall(*noisy(rng, len(many), r), many).rho
    found = [overall(*noisy(rng, len(block), r), block) for _ in range(600)]
    assert 0.925 <= np.mean([c.low <= truth <= c.high for c in found]) <= 0.995


@pytest.mark.parametrize("r", [0.0, 0.7, 0.95])
@pytest.mark.parametrize("round_to", [0, 3])
def test_a_rank_correlation_is_that_of_scipy_and_its_error_that_of_the_jackknife(r: float, round_to: int) -> None:
    a, b = (values.round(round_to) for values in noisy(np.random.default_rng(6), 150, r))
    found = clustered_spearman(a, b, None)
    assert found.value == pytest.approx(stats.spearmanr(a, b).statistic)
    left_out = [stats.spearmanr(np.delete(a, i), np.delete(b, i)).statistic for i in range(len(a))]
    jackknife = math.sqrt((len(a) - 1) * np.var(left_out))
    assert overall(a, b).error == pytest.approx(jackknife, rel=0.05)


def test_clusters_of_a_rank_correlation_widen_its_interval() -> None:
    rng, cluster = np.random.default_rng(2), np.repeat(np.arange(20), 10)
    a, b = (rng.normal(size=20)[cluster] + 0.1 * rng.normal(size=200) for _ in range(2))
    alone, together = clustered_spearman(a, b, None), clustered_spearman(a, b, cluster)
    assert alone.value == together.value
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert math.isnan(clustered_spearman(a, b, np.repeat(np.arange(4), 50)).low)


@given(st.floats(-1, 1), st.floats(0, 2), st.integers(1, 300))
def test_an_interval_holds_its_correlation_and_stays_within_one(r: float, error: float, freedom: int) -> None:
    low, high = correlation_interval(r, error, freedom)
    assert -1 <= low <= r + 1e-12
    assert r - 1e-12 <= high <= 1


def test_the_p_value_and_the_interval_agree_on_zero() -> None:
    rng = np.random.default_rng(3)
    for r in (0.05, 0.1, 0.15, 0.3):
        found = within_groups(*noisy(rng, 1200, r), np.repeat(np.arange(300), 4))
        assert (found.p < 0.05) == (found.least > 0) or abs(found.p - 0.05) < 0.003
    perfect = within_groups(np.arange(40.0), np.arange(40.0), np.repeat(np.arange(10), 4))
    assert (perfect.low, perfect.high, perfect.p) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("share", [0.2, 0.05, 0.0])
def test_the_interval_of_flipped_labels_ends_where_the_likelihood_says(share: float) -> None:
    """The ends lay up to 0.01 too far out, so that the interval held the truth in 97 of 100 samples."""
    rng, n = np.random.default_rng(5), 3000
    gap = 1.4 * rng.normal(size=n)
    wins = rng.random(n) < expit(2 * gap)
    margins = np.where(np.where(rng.random(n) < share, ~wins, wins), gap, -gap)
    size, hits = np.abs(margins), margins > 0

    def lost(e: float) -> float:
        def at(slope: float) -> float:
            p = np.clip(e + (1 - 2 * e) * expit(math.exp(slope) * size), 1e-12, 1 - 1e-12)
            return -float(np.where(hits, np.log(p), np.log1p(-p)).sum())

        return float(minimize_scalar(at, bounds=(-2.0, 4.0), method="bounded", options={"xatol": 1e-6}).fun)

    best = minimize_scalar(lost, bounds=(0.0, 0.45), method="bounded")
    found = flipped_share(margins)
    assert found.value == pytest.approx(best.x, abs=0.002)
    for end, edge in ((found.low, 0.0), (found.high, 0.49)):
        if lost(edge) - best.fun > 1.920729:
            assert end == pytest.approx(brentq(lambda e: lost(e) - best.fun - 1.920729, edge, best.x), abs=0.002)
