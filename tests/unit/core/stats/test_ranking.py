"""The area under the ROC curve, against scipy's Mann-Whitney and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from rldk.core.stats.ranking import auc, auc_interval

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(scores, scores)
def test_auc_is_mann_whitney_over_pairs(above: list[float], below: list[float]) -> None:
    u = mannwhitneyu(above, below).statistic
    assert auc(above, below) == pytest.approx(u / (len(above) * len(below)))


def test_without_a_group_there_is_no_order() -> None:
    assert math.isnan(auc([], [1.0]))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    shift = norm.ppf(0.95) * math.sqrt(2)  # two normals with an AUC of 0.95
    covered = 0
    for _ in range(400):
        above, below = (rng.normal(shift, 1, 40).tolist(), rng.normal(0, 1, 60).tolist())
        low, high = auc_interval(auc(above, below), 40, 60)
        covered += low <= 0.95 <= high
    assert 0.92 <= covered / 400 <= 0.99


@given(st.floats(0, 1), st.integers(2, 200), st.integers(2, 200))
def test_the_interval_holds_the_area_and_is_not_a_point(area: float, m: int, n: int) -> None:
    low, high = auc_interval(area, m, n)
    assert 0 <= low <= area <= high <= 1
    assert high > low
