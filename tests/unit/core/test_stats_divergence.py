"""The envelope of several runs, the cumulative sum of one pair, and the distance in floating-point numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rldk.core.stats.cusum import level_change
from rldk.core.stats.envelope import excursions, persistent, smooth
from rldk.core.stats.ulps import ulp_distance

Array = NDArray[np.float64]


def noise(seed: int, runs: int = 6, steps: int = 300) -> Array:
    return np.random.default_rng(seed).normal(size=(runs, steps))


def test_a_shift_is_found_where_it_begins() -> None:
    curves = noise(1)
    curves[0, 150:] += 6
    found = excursions({"kl": (curves[0], curves[1:])})["kl"]
    assert found.start in range(149, 153)
    assert found.score > 1
    assert found.p < 0.02


def test_a_shift_that_lasts_is_never_subtracted_away() -> None:
    curves = noise(2)
    curves[0] += 6  # from the first step to the last
    assert excursions({"kl": (curves[0], curves[1:])})["kl"].start == 0


def test_the_runs_are_judged_whatever_their_unit() -> None:
    curves = noise(3)
    curves[0, 200:] += 5
    one = excursions({"kl": (curves[0], curves[1:])})["kl"]
    other = excursions({"kl": (curves[0] * 1e-6 + 3, curves[1:] * 1e-6 + 3)})["kl"]
    assert other.start == one.start
    assert other.score == pytest.approx(one.score, rel=1e-3)


def test_one_outlier_is_no_divergence_and_nan_that_stays_is() -> None:
    curves = noise(4)
    curves[0, 50] = 1e9
    assert excursions({"kl": (curves[0], curves[1:])})["kl"].start is None
    curves[0, 100:] = np.nan
    assert excursions({"kl": (curves[0], curves[1:])})["kl"].start == 100


def test_what_all_the_others_agree_on_may_not_differ() -> None:
    others = np.full((5, 60), 0.001)
    run = np.full(60, 0.001)
    assert excursions({"lr": (run, others)})["lr"].start is None
    run[30:] = 0.003
    assert excursions({"lr": (run, others)})["lr"].start == 30


def test_a_stricter_tolerance_asks_for_more() -> None:
    curves = noise(5)
    curves[0, 150:] += 4
    scores = [excursions({"kl": (curves[0], curves[1:])}, factor=f)["kl"].score for f in (1.0, 2.0)]
    assert scores[0] == pytest.approx(2 * scores[1])


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="three or more"):
        excursions({"kl": (np.zeros(9), np.zeros((2, 9)))})


def test_persistence_by_hand() -> None:
    scores = np.array([0.0, 2.0, 3.0, -4.0, -5.0, -6.0])
    assert persistent(scores, 1).tolist() == [0, 2, 3, 4, 5, 6]
    assert persistent(scores, 2).tolist() == [0, 2, 0, 4, 5]
    assert persistent(scores, 7).size == 0


def test_smoothing_by_hand() -> None:
    assert smooth(np.array([1.0, 1.0, 100.0]), 0.5).tolist() == [0.5, 0.75, 2.375]  # 100 is cut to 4
    assert smooth(np.array([7.0]), 1.0).tolist() == [7.0]


def test_a_level_that_changes_is_found_and_dated() -> None:
    values = noise(6)[0]
    values[180:] += 3
    found = level_change(values, 50)
    assert found is not None
    assert found.start in range(182, 200)
    assert found.onset in range(176, 184)


def test_a_calm_series_has_no_change_and_a_short_one_no_answer() -> None:
    found = level_change(noise(7)[0], 50)
    assert found is not None
    assert found.start is None
    assert found.score < 1
    assert level_change(noise(7)[0][:52], 50) is None


def test_a_constant_series_that_jumps_has_changed() -> None:
    found = level_change(np.r_[np.zeros(60), np.ones(60)], 50)
    assert found is not None
    assert found.onset == 60


@given(st.floats(min_value=-1e308, max_value=1e308))
def test_the_next_double_is_one_step_away(value: float) -> None:
    following = np.nextafter(value, np.inf)
    assert ulp_distance(np.array([value]), np.array([following]))[0] == 1
    assert ulp_distance(np.array([value]), np.array([value]))[0] == 0


def test_signed_zeros_are_equal_and_nan_is_far_from_numbers_only() -> None:
    first, second = np.array([0.0, np.nan, np.nan]), np.array([-0.0, np.nan, 1.0])
    assert ulp_distance(first, second).tolist() == [0.0, 0.0, np.inf]


def test_runs_that_agree_by_chance_do_not_make_the_limit_narrow() -> None:
    """Five others whose largest excursions are all alike, and a run that goes somewhat further than any of them."""
    shape = np.zeros(300)
    shape[100:104] = 4.0
    others = np.array([np.roll(shape, 30 * place) for place in range(5)])
    for height, beyond in ((1.45, False), (3.0, True)):
        found = excursions({"kl": (np.roll(shape, 160) * height, others)}, reach=300)["kl"]
        assert (found.score > 1) == beyond, (height, found.score)
