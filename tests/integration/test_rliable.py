"""The statistics of `rldk compare` against those of rliable, on the same scores. It is no dependency of anything: `pip
install rliable "arch<8"` where the test is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from rldk.core.stats.aggregate import (
    interquartile_band,
    interquartile_mean,
    interquartile_means,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # those of its own dependencies
]
DRAWS = 5_000
RUNS, TASKS = 5, 26  # as in Atari 100k, the first benchmark of Agarwal et al. 2021


@pytest.fixture(scope="module")
def theirs() -> Any:
    pytest.importorskip("rliable", reason="needs rliable")
    return import_module("rliable.library"), import_module("rliable.metrics")


def scores(seed: int, shift: float = 0.0) -> np.ndarray:
    """Normalised scores (runs, tasks), skewed as those of games are, with ties."""
    rng = np.random.default_rng(seed)
    return np.round(rng.lognormal(np.linspace(-2, 1, TASKS) + shift, 0.4, size=(RUNS, TASKS)), 2)


def tasks(matrix: np.ndarray) -> list[np.ndarray]:
    return list(matrix.T)


def test_the_numbers_of_its_own_tests() -> None:
    x, y = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]), np.array([[1, 1], [2, 2], [3, 3]])
    assert interquartile_mean(tasks(x)) == 1.5
    assert interquartile_mean(tasks(y)) == 2
    assert probability_of_improvement(tasks(x), tasks(y)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_scores_give_the_same_points(theirs: Any, seed: int) -> None:
    library, metrics = theirs
    one, other = scores(seed), scores(seed + 100, 0.2)
    assert interquartile_mean(tasks(one)) == pytest.approx(metrics.aggregate_iqm(one), rel=1e-12)
    improves = metrics.probability_of_improvement(other, one)
    assert probability_of_improvement(tasks(other), tasks(one)) == pytest.approx(improves, rel=1e-12)
    levels = np.linspace(0, 8, 33)
    profiles, _ = library.create_performance_profile({"one": one}, levels, reps=2)
    assert performance_profile(tasks(one), levels) == pytest.approx(profiles["one"], rel=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_the_intervals_agree_up_to_their_draws(theirs: Any, seed: int) -> None:
    """Two bootstraps with 5,000 draws each; rliable's is not seeded, so a tenth of the width is allowed."""
    library, metrics = theirs
    one = scores(seed)
    ours = stratified_interval(tasks(one), interquartile_means, seed=0, draws=DRAWS)
    _, found = library.get_interval_estimates({"one": one}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=DRAWS)
    low, high = found["one"].ravel()
    assert ours == pytest.approx((low, high), abs=(high - low) / 10)


def test_the_band_of_a_learning_curve_is_its_interval_at_each_step(theirs: Any) -> None:
    library, metrics = theirs
    curves = np.cumsum(np.random.default_rng(3).normal(0.1, 1, size=(8, 6)), axis=1)  # (runs, steps)
    middle, low, high = interquartile_band(curves, seed=0, draws=DRAWS)

    def each(x: np.ndarray) -> np.ndarray:
        return np.array([metrics.aggregate_iqm(x[..., step]) for step in range(curves.shape[1])])

    points, found = library.get_interval_estimates({"one": curves[:, None, :]}, each, reps=DRAWS)
    assert middle == pytest.approx(points["one"], rel=1e-12)
    width = found["one"][1] - found["one"][0]
    assert np.all(np.abs(low - found["one"][0]) < width / 8)
    assert np.all(np.abs(high - found["one"][1]) < width / 8)
