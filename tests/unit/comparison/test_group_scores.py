"""What one group of runs scores, at the limits of its parts."""

from __future__ import annotations

import numpy as np
import pytest

from rldk.comparison import compare
from rldk.core.model import Run
from rldk.testing import run_of

LEVELS = np.array([0.0, 1.0])


def rising(to: float) -> Run:
    return run_of({"reward_mean": np.linspace(0.0, to, 40).tolist()})


def test_a_level_is_reached_by_the_mean_of_ten_values() -> None:
    step, values = np.arange(100, 140), np.repeat([0.0, 1.0], 20)
    assert compare._reached(step, values, 1.0, rising=True) == 129  # the first ten values that are all 1
    assert compare._reached(step, values, 0.5, rising=True) == 124
    assert compare._reached(step, 1 - values, 0.0, rising=False) == 129
    assert compare._reached(step, values, 1.01, rising=True) is None
    assert compare._reached(step[:3], np.ones(3), 1.0, rising=True) == 102


def test_the_steps_of_a_group_are_known_where_more_than_half_arrived() -> None:
    half, most = [rising(1.0), rising(0.2)], [rising(1.0), rising(1.0), rising(0.2)]
    scores = [compare._score("a", "reward_mean", runs, (0.5, True), LEVELS) for runs in (half, most)]
    assert [(one.reached, one.steps is None) for one in scores] == [(1, True), (2, False)]
    single = compare._score("a", "reward_mean", half[:1], (0.5, True), LEVELS)
    assert (single.spread, scores[0].spread == pytest.approx(np.std(scores[0].scores, ddof=1))) == (None, True)


def test_a_baseline_that_stays_has_a_level_that_is_reached_from_below() -> None:
    assert compare._level([run_of({"reward_mean": [2.0] * 20})], "reward_mean") == (2.0, True)
    assert compare._level([run_of({"reward_mean": [2.0] * 10 + [1.0] * 10})], "reward_mean") == (
        pytest.approx(1.1),
        False,
    )


def test_groups_without_spread_differ_or_do_not() -> None:
    one, two = np.ones(3), np.full(3, 2.0)
    assert (compare._welch(one, one), compare._welch(one, two)) == (1.0, 0.0)
    assert 0.9 < compare._welch(one, np.array([1.1, 1.0, 0.9])) <= 1


def test_a_run_that_stays_at_the_level_has_reached_it() -> None:
    for level in (0.1, 0.7, -0.3):  # ten times a tenth of it is less than it, in floating point
        step, values = np.arange(30), np.full(30, level)
        assert [compare._reached(step, values, level, rising=rising) for rising in (True, False)] == [9, 9]
