"""The interval of a rank correlation, where it is wide and where it says nothing."""

from __future__ import annotations

import math

import numpy as np

from rldk.core.stats.coupling import overall, within_groups
from rldk.core.stats.estimates import Coupling


def test_an_interval_ends_at_one() -> None:
    a = np.arange(12.0)
    for sign in (1.0, -1.0):
        b = sign * a
        b[[0, 3]] = b[[3, 0]]
        found = overall(a, b)
        bound = found.high if sign > 0 else -found.low
        assert 0.9 < abs(found.rho) < 1.0
        assert bound == 1.0, "the error is larger than what is left to 1"


def test_ten_groups_with_a_signal_have_an_interval() -> None:
    for groups, known in [(10, True), (9, False)]:
        label = np.repeat(np.arange(groups), 3)
        found = within_groups(np.tile([1.0, 2.0, 3.0], groups), np.tile([1.0, 3.0, 2.0], groups), label)
        assert (found.rho, found.n, found.groups) == (0.5, 3 * groups, groups)
        assert math.isnan(found.low) is not known, groups


def test_groups_of_one_value_say_nothing() -> None:
    found = within_groups(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]))
    assert (found.n, found.groups) == (2, 1)
    assert math.isnan(within_groups(np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.array([0, 0])).rho)


def test_the_least_strength_of_an_interval() -> None:
    for low, high, least in [(0.2, 0.6, 0.2), (-0.6, -0.2, 0.2), (-0.1, 0.3, 0.0)]:
        assert Coupling(rho=0.0, low=low, high=high, n=1, groups=1).least == least
    assert math.isnan(Coupling(rho=0.0, low=math.nan, high=math.nan, n=1, groups=1).least)
