from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rldk.core.stats.robust import MAD_TO_SD, mad, median, middle

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(values)
def test_medians_are_those_of_numpy(found: list[float]) -> None:
    assert median(found) == middle(sorted(found)) == np.median(found)


@given(values)
def test_the_scaled_deviation_is_that_of_scipy(found: list[float]) -> None:
    assert mad(found) == pytest.approx(MAD_TO_SD * stats.median_abs_deviation(found), rel=1e-12, abs=1e-12)
    assert mad(found, 0.0) == pytest.approx(MAD_TO_SD * np.median(np.abs(found)), rel=1e-12, abs=1e-12)


def test_the_factor_makes_a_normal_sample_s_deviation_its_own() -> None:
    assert pytest.approx(1 / stats.norm.ppf(0.75), abs=1e-4) == MAD_TO_SD


def test_no_value_has_no_median() -> None:
    with pytest.raises(IndexError):
        median([])
