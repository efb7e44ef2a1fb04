"""Whether the spread of curves grows with their level, and the root that makes it constant."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.stats.stabilised import Array, grows_with_level, signed_root, signed_square

STEPS = 160


def counts(seed: int, low: float = 1.0, high: float = 16.0) -> Array:
    """Five runs of counts whose mean rises: the variance of each is its mean."""
    mean = np.linspace(low, high, STEPS)
    return np.random.default_rng(seed).poisson(mean, size=(5, STEPS)).astype(np.float64)


def test_counts_that_rise_spread_as_they_rise_and_their_roots_do_not() -> None:
    for seed in range(20):
        assert grows_with_level(counts(seed)), seed
        assert not grows_with_level(np.sqrt(counts(seed, 4.0, 32.0))), seed


def test_noise_of_one_size_does_not_grow_however_the_level_moves() -> None:
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=(5, STEPS))
        assert not grows_with_level(np.linspace(5, 60, STEPS) + noise), seed


def test_nothing_is_said_where_it_cannot_be_known() -> None:
    made = counts(0)
    assert not grows_with_level(made - 20)  # a negative value has no root
    assert not grows_with_level(counts(0, 8.0, 9.0))  # the level hardly changes
    assert not grows_with_level(made[:, :7])
    assert not grows_with_level(np.zeros((5, STEPS)))
    assert not grows_with_level(np.tile(np.linspace(1, 9, STEPS), (5, 1)))  # equal runs have no variance
    made[0, 3] = math.nan
    assert not grows_with_level(made)


@given(st.lists(st.floats(-1e100, 1e100), max_size=9))
def test_the_square_undoes_the_root(values: list[float]) -> None:
    given = np.array(values)
    np.testing.assert_allclose(signed_square(signed_root(given)), given, rtol=1e-12, atol=1e-300)


def test_what_is_no_number_stays_so() -> None:
    found = signed_root(np.array([math.nan, math.inf, -math.inf, -4.0]))
    assert math.isnan(found[0])
    assert found[1:].tolist() == [math.inf, -math.inf, -2.0]
