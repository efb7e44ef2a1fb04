"""Columns tell exactly on which rows a body may speak."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_bodies import Body, random_body

from rldk.engine.column import Cases, Column, UndecidedColumn

numbers = st.integers(-6, 6).map(lambda i: i / 4) | st.sampled_from([-0.0, 1e-300, 0.1, 1e308, -1e308, math.nan])
tables = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=9)


def _cases(body: Body, rows: Sequence[tuple[float, ...]]) -> Cases:
    cases = Cases(len(rows))
    frame = {name: Column(np.array([row[i] for row in rows]), cases) for i, name in enumerate("abc")}
    with np.errstate(all="ignore"):
        cases.follow(body, frame)  # type: ignore[arg-type]  # columns stand for numbers
    return cases


def _speaks(body: Body, row: tuple[float, ...]) -> bool:
    try:
        return body(dict(zip("abc", row, strict=True))) is not None
    except ArithmeticError:
        return True


@settings(deadline=None)
@given(rows=tables, seed=st.integers(0, 10**6))
def test_a_body_must_be_asked_on_the_very_rows_on_which_it_speaks(rows: Sequence[tuple[float, ...]], seed: int) -> None:
    body = random_body(seed)
    assert _cases(body, rows).asked.tolist() == [_speaks(body, row) for row in rows]


def test_rows_part_at_a_comparison_and_both_groups_are_followed() -> None:
    rows = [(x, 0.0, 0.0) for x in (1.0, 2.0, 3.0, math.nan)]
    assert _cases(lambda f: 1 if f["a"] > 2 else None, rows).asked.tolist() == [False, False, True, False]
    assert _cases(lambda f: None if f["a"] > 2 else 1, rows).asked.tolist() == [True, True, False, True]
    assert _cases(lambda f: 1 if max(f["a"], 2.5) > 2.6 else None, rows).asked.tolist() == [False, False, True, False]


def test_division_by_zero_leaves_those_rows_to_be_asked() -> None:
    rows = [(1.0, 0.0, 0.0), (1.0, 2.0, 0.0)]
    assert _cases(lambda f: 1 if f["a"] / f["b"] > 9 else None, rows).asked.tolist() == [True, False]
    assert _cases(lambda f: 1 if 1 / f["b"] > 9 else None, rows).asked.tolist() == [True, False]
    assert _cases(lambda f: 1 if f["a"] / f["c"] > 9 else None, rows).asked.tolist() == [True, True]


def test_rows_that_lack_what_is_asked_for_make_no_rule_ready() -> None:
    def body(some: list[bool] | None) -> Callable[[dict[str, Column]], None]:
        return lambda f: f["a"].cases.lack(None if some is None else np.array(some))

    rows = [(1.0, 0.0, 0.0), (2.0, 0.0, 0.0)]
    assert _cases(lambda f: None, rows).ready
    assert _cases(body([True, False]), rows).ready  # type: ignore[arg-type]
    assert not _cases(body([True, True]), rows).ready  # type: ignore[arg-type]
    assert not _cases(body(None), rows).ready  # type: ignore[arg-type]


@each_of("use", [math.log, int, float, str, hash, math.isfinite, lambda x: x**2])
def test_what_a_column_cannot_do_is_left_to_the_rows(use: Callable[[Column], object]) -> None:
    rows = [(1.0, 0.0, 0.0), (2.0, 0.0, 0.0)]
    with pytest.raises((UndecidedColumn, TypeError)):
        use(Column(np.array([1.0, 2.0]), Cases(2)))
    body: Body = lambda f: use(f["a"]) and None if f["a"] > 1 else None  # type: ignore[arg-type, return-value]  # noqa: E731
    assert _cases(body, rows).asked.tolist() == [False, True]


def test_rounding_is_that_of_a_row() -> None:
    values = [0.5, 1.5, 2.5, -0.5, 2.4, math.inf]
    cases = _cases(lambda f: 1 if round(f["a"]) == 2 else None, [(x, 0.0, 0.0) for x in values])
    assert cases.asked.tolist() == [False, True, True, False, True, True]  # the last one cannot be rounded


def test_a_body_of_too_many_branches_is_asked_on_the_rows_that_are_left() -> None:
    rows = [(float(i), 0.0, 0.0) for i in range(100)]

    def body(f: dict[str, float]) -> object:
        for i in range(100):
            if f["a"] <= i:
                return None
        return None

    asked = _cases(body, rows).asked
    assert asked.any()
    assert not asked[0]


def test_a_path_that_ends_in_a_signal_gives_it_on_all_of_its_rows() -> None:
    column_cases = Cases(4)
    values = Column(np.array([1.0, 5.0, 2.0, 7.0]), column_cases)
    column_cases.follow(lambda x: f"{x:.1f} is too large" if x > 3.0 else None, values)
    assert column_cases.codes(lambda _: 2).tolist() == [0, 2, 0, 2]


def test_a_path_that_formats_a_number_and_is_silent_is_not_decided() -> None:
    column_cases = Cases(2)
    column_cases.follow(lambda x: None if f"{x:.0f}" == "1" else 1, Column(np.array([1.0, 2.0]), column_cases))
    assert column_cases.codes(lambda _: 2).tolist() == [1, 1]


def test_a_text_that_no_number_can_be_is_left_to_the_rows() -> None:
    column_cases = Cases(2)
    column_cases.follow(lambda x: f"{x:d}", Column(np.array([1.0, 2.0]), column_cases))
    assert column_cases.codes(lambda _: 2).tolist() == [1, 1]
