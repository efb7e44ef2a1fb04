"""How far replicas are apart: bit by bit, in units of the last place, by share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.table import MetricTable, TableBuilder
from rldk.engine.compare.replicas import ReplicaSpread, StepChoice, distance, spreads

ALL = StepChoice()


def table(values: Sequence[float], name: str = "loss", first: int = 0) -> MetricTable:
    built = TableBuilder()
    for step, value in enumerate(values, first):
        built.add(step, {name: value})
    return built.build()


def spread(*replicas: Sequence[float], choice: StepChoice = ALL, tolerance: float = 0.0) -> ReplicaSpread:
    (found,) = spreads([table(one) for one in replicas], ["loss"], choice, tolerance)
    return found


@given(st.lists(st.floats(width=64), min_size=1, max_size=20), st.integers(2, 5))
def test_the_same_numbers_are_equal_whatever_they_are(values: list[float], count: int) -> None:
    found = spread(*[values] * count)
    assert (found.unequal, found.first_step, found.beyond, found.missing) == (0, None, None, 0)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=20), st.data())
def test_one_unit_of_the_last_place_is_seen_where_it_is(values: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = [*values]
    other[place] = math.nextafter(values[place], math.inf)
    found = spread(values, other)
    assert (found.unequal, found.first_step, found.ulps) == (1, place, 1.0)
    assert found.beyond == place
    assert spread(values, other, tolerance=1e-12).beyond is None


def test_the_sign_of_zero_is_a_difference_of_bits_and_of_no_share() -> None:
    found = spread([1.0, 0.0], [1.0, -0.0])
    assert (found.unequal, found.first_step, found.share, found.beyond) == (1, 1, 0.0, None)


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf])
def test_a_number_beside_none_is_beyond_every_tolerance(other: float) -> None:
    found = spread([1.0, 2.0], [1.0, other], tolerance=1e9)
    assert (found.share, found.beyond) == (math.inf, 1)


def test_rounding_of_a_metric_that_passes_through_zero_is_no_large_share() -> None:
    assert spread([0.5, 1e-17, -0.5], [0.5, -1e-17, -0.5]).share < 1e-12
    assert spread([0.0, 0.0], [1e-17, -1e-17]).share <= 1e-5


def test_the_variance_is_that_of_the_worst_step() -> None:
    replicas = [[1.0, 2.0], [1.0, 4.0], [1.0, 9.0]]
    assert spread(*replicas).variance == pytest.approx(np.var([2.0, 4.0, 9.0], ddof=1))


def test_a_step_without_a_partner_is_counted() -> None:
    (found,) = spreads([table([1.0, 2.0, 3.0]), table([1.0, 2.0])], ["loss"], ALL)
    assert (found.missing, found.unequal) == (1, 0)
    (found,) = spreads([table([1.0, 2.0]), table([1.0, 2.0, 3.0])], ["loss"], ALL)
    assert (found.missing, found.unequal) == (1, 0)


@pytest.mark.parametrize(("choice", "seen"), [(StepChoice(steps=2), 0), (StepChoice(stride=2), 0), (ALL, 1)])
def test_only_the_chosen_steps_count(choice: StepChoice, seen: int) -> None:
    assert spread([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0], choice=choice).unequal == seen


def test_a_distance_is_zero_only_where_every_bit_is_the_same() -> None:
    base = [1.0] * 99
    assert distance(table(base), table(base), ["loss"], ALL) == 0.0
    assert distance(table(base), table([*base[:98], 1.5]), ["loss"], ALL) > 0.0
    assert math.isnan(distance(table(base), table([1.0], first=500), ["loss"], ALL))


@pytest.mark.slow
def test_an_exponential_difference_grows_and_noise_does_not() -> None:
    steps = np.arange(40)
    base = np.ones(40)
    assert spread(base.tolist(), (base + 1e-12 * 1.5**steps).tolist()).growth == pytest.approx(1.5**39, rel=0.01)
    rng = np.random.default_rng(0)
    grown = [spread(base.tolist(), (base + 1e-9 * rng.random(n)).tolist()).growth for n in [40] * 300]
    assert sum(factor > 1.0 for factor in grown) <= 3
    assert spread([1.0, 1.0], [1.0 + 1e-12, 1.0 + 1e-3]).growth == 1.0
