"""Paired tests and many tests at once, against scipy, against all sign flips, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from examples import each_of
from scipy import stats

from rldk.core.stats.paired import EXACT, holm, signed_rank_p


@each_of("n", [1, 2, 5, 6, 20, EXACT])
@each_of("shift", [0.0, 0.5])
def test_without_ties_it_is_scipys_exact_test(n: int, shift: float) -> None:
    data = np.random.default_rng(n).normal(shift, size=n)
    assert signed_rank_p(data) == pytest.approx(stats.wilcoxon(data, method="exact").pvalue, rel=1e-9)


@each_of("n", [EXACT + 1, 400])
@each_of("digits", [1, 9])
def test_many_pairs_with_and_without_ties_are_scipys_approximation(n: int, digits: int) -> None:
    data = np.random.default_rng(n).normal(0.2, size=n).round(digits)
    data[data == 0] = 0.1
    assert signed_rank_p(data) == pytest.approx(stats.wilcoxon(data, method="asymptotic").pvalue, rel=1e-9)


@pytest.mark.parametrize("data", [[1, 1, 1, -1, 2], [0.5, -0.5, 0.5, 3, 3, -3, 4], [2, 2, 2, 2, 2, 2]])
def test_with_ties_it_counts_every_way_to_set_the_signs(data: list[float]) -> None:
    ranks = stats.rankdata(np.abs(data))
    sums = [float(np.dot(ranks, signs)) for signs in itertools.product((0, 1), repeat=len(data))]
    found = float(ranks[np.array(data) > 0].sum())
    least = min(found, float(ranks.sum()) - found)
    assert signed_rank_p(data) == pytest.approx(min(1, 2 * sum(s <= least for s in sums) / len(sums)))


def test_signs_and_zeros_and_what_is_not_finite() -> None:
    data = [0.3, -0.1, 0.7, 1.1, 0.2, 0.9]
    assert signed_rank_p(data) == signed_rank_p([-x for x in data]) == signed_rank_p([*data, 0.0, 0.0])
    assert signed_rank_p([]) == signed_rank_p([0.0, 0.0]) == 1.0
    assert math.isnan(signed_rank_p([1.0, math.nan]))


def test_holm_by_hand() -> None:
    # in order 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04, and none below the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_out_what_was_not_tested() -> None:
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[::2] == [0.02, 0.02]
    assert math.isnan(adjusted[1])


def test_holm_rejects_what_the_stepwise_procedure_rejects() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        p_values = (rng.random(7) ** 3).tolist()
        rejected = set()
        for place, (p, i) in enumerate(sorted((p, i) for i, p in enumerate(p_values))):
            if p > 0.05 / (7 - place):
                break
            rejected.add(i)
        assert {i for i, p in enumerate(holm(p_values)) if p <= 0.05} == rejected
