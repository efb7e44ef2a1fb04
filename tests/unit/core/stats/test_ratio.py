"""The ratio of two sums, such as the loss of a token over texts of different lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rldk.core.stats.clustered import clustered_ratio


def made(count: int, seed: int, spread: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = np.maximum(2, rng.lognormal(4, 1, count).round())
    return rng.gamma(size, rng.lognormal(math.log(2) - spread**2 / 2, spread, count)), size


def test_the_error_is_that_of_a_regression_through_the_origin() -> None:
    api = pytest.importorskip("statsmodels.api")
    a, b = made(30, 0)
    found = clustered_ratio(a, b)
    theirs = api.WLS(a / b, np.ones(30), weights=b).fit(cov_type="HC2")
    assert found.value == pytest.approx(float(theirs.params[0]))
    spread = b * b / (1 - b / b.sum())
    freedom = spread.sum() ** 2 / (spread * spread).sum()
    from scipy.stats import t

    half = t.ppf(0.975, freedom) * float(theirs.bse[0]) / found.value
    assert math.log(found.high / found.value) == pytest.approx(half, rel=1e-3)
    assert math.log(found.value / found.low) == pytest.approx(half, rel=1e-3)


def test_texts_of_one_cluster_count_as_one() -> None:
    a, b = made(12, 1)
    once = clustered_ratio(a, b)
    parts = np.repeat(np.arange(12), 2)
    twice = clustered_ratio(np.repeat(a / 2, 2), np.repeat(b / 2, 2), parts)
    assert (twice.value, twice.low, twice.high) == pytest.approx((once.value, once.low, once.high))
    assert (twice.n, twice.clusters) == (24, 12)


def test_a_text_that_holds_most_of_the_tokens_leaves_no_interval_and_so_do_few_texts() -> None:
    a, b = made(20, 2)
    for share, bounded in ((0.49, True), (0.51, False)):
        size = float(b.sum()) * share / (1 - share)
        long = clustered_ratio(np.append(a, 2 * size), np.append(b, size))
        assert long.bounded == bounded
    assert long.method == "one cluster holds more than half"
    assert math.isnan(clustered_ratio(a[:4], b[:4]).low)
    assert math.isnan(clustered_ratio(a, 0 * b).value)
    zero = clustered_ratio(0 * a, b)
    assert (zero.value, zero.low, zero.high) == (0, 0, 0)


@pytest.mark.slow
def test_twenty_texts_of_very_different_lengths_are_covered() -> None:
    held = sum(found.low <= 2 <= found.high for found in (clustered_ratio(*made(20, seed)) for seed in range(600)))
    assert 0.93 <= held / 600 <= 0.98
