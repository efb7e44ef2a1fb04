"""An interval answers for all of its rows: it may say too little, never too much."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_bodies import random_body

from rldk.engine.interval import Branches, Interval, UndecidedInterval

Columns = dict[str, list[float]]
numbers = st.integers(-6, 6).map(lambda i: i / 4) | st.sampled_from([-0.0, 1e-300, 0.1, 1e308, -1e308])
columns = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=6)


def _interval_of(values: list[float], paths: Branches) -> Interval | float:
    low, high = min(values), max(values)
    return low if low == high else Interval(low, high, False, paths)


@settings(deadline=None)
@given(rows=columns, seed=st.integers(0, 10**6))
def test_where_a_body_is_silent_on_spans_it_is_silent_on_every_row(rows: list[tuple[float, ...]], seed: int) -> None:
    body, paths = random_body(seed), Branches()
    spans = {name: _interval_of([row[i] for row in rows], paths) for i, name in enumerate("abc")}
    if paths.silent(body, spans):
        assert [body(dict(zip("abc", row, strict=True))) for row in rows] == [None] * len(rows)


def test_both_outcomes_of_an_open_comparison_are_followed() -> None:
    paths = Branches()
    x = Interval(0.0, 2.0, False, paths)
    assert paths.silent(lambda f: None if f > 1 or f <= 2 else f, x)
    assert paths.followed == 2
    assert not paths.silent(lambda f: f if f > 1 else None, x)
    assert paths.silent(lambda f: f if f > 2 or f - f != 0.0 else None, x)


def test_gaps_are_not_sure_of_anything_but_falsehood() -> None:
    paths = Branches()
    x = Interval(1.0, 2.0, True, paths)
    assert paths.silent(lambda f: f if f > 2 else None, x)
    assert not paths.silent(lambda f: f if f != f else None, x)
    assert not paths.silent(lambda f: None if f > 0 else f, x)


@each_of("use", [math.log, int, float, str, hash, "{:.3f}".format, lambda x: 1 / (x - 1), math.isfinite])
def test_what_a_span_cannot_do_is_left_to_the_rows(use: Callable[[Interval], object]) -> None:
    paths = Branches()
    with pytest.raises((UndecidedInterval, TypeError)):
        use(Interval(0.0, 2.0, False, paths))
    assert not paths.silent(lambda f: use(f) and None, Interval(0.0, 2.0, False, paths))
