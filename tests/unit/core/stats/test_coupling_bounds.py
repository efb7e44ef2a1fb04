"""The interval of a rank correlation, where it is wide and where it says nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rldk.core.stats.coupling import overall, within_groups
from rldk.core.stats.estimates import Coupling


def test_an_interval_ends_below_one() -> None:
    a = np.arange(12.0)
    for sign in (1.0, -1.0):
        b = sign * a
        b[[0, 3]] = b[[3, 0]]
        found = overall(a, b)
        bound = found.high if sign > 0 else -found.low
        assert 0.9 < abs(found.rho) < 1.0
        assert abs(found.rho) < bound < 1.0
        assert abs(found.rho) + 2 * found.error > 1.0, "a symmetric interval would reach beyond 1"


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


def test_blocks_may_lie_among_each_other() -> None:
    """Tasks of an evaluation come in any order: ranks are taken within a task, not within a stretch of rows."""
    rng = np.random.default_rng(0)
    for tasks in (2, 12):
        task = np.repeat(np.arange(tasks), 240 // tasks)
        a, b = (40.0 * task + rng.normal(size=240) for _ in range(2))
        mixed = rng.permutation(240)
        apart, among = overall(a, b, task), overall(a[mixed], b[mixed], task[mixed])
        assert abs(apart.rho) < 0.2
        assert (among.rho, among.low, among.high) == pytest.approx((apart.rho, apart.low, apart.high), abs=1e-9)
