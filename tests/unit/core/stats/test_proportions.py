"""Intervals and tests of shares, against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from rldk.core.stats.proportions import sign_test, wilson

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_is_that_of_scipy(count: tuple[int, int], level: float) -> None:
    hits, n = count
    expected = binomtest(hits, n).proportion_ci(level, method="wilson")
    assert wilson(hits, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert sign_test(0, 0) == 1.0


@given(st.integers(0, 400), st.integers(0, 400))
def test_sign_test_is_the_exact_binomial(gained: int, lost: int) -> None:
    n = gained + lost
    expected = binomtest(gained, n).pvalue if n else 1.0
    assert sign_test(gained, lost) == pytest.approx(expected, rel=1e-9)
