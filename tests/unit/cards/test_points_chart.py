"""Charts of points: round marks, histograms, and what is drawn of odd data."""

from __future__ import annotations

import math

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.cards.points import Axes, points_chart, points_shapes, round_marks
from rldk.core.view import Points

FINITE = st.floats(-1e9, 1e9)


@each_of(
    ("low", "high", "marks"),
    [
        (0.0, 1.0, (0, 0.25, 0.5, 0.75, 1)),
        (-3.3, 3.09, (-2, 0, 2)),
        (0.0, 0.128, (0, 0.05, 0.1)),
        (-191.0, 200.0, (-200, -100, 0, 100, 200)),
    ],
)
def test_marks_are_round(low: float, high: float, marks: tuple[float, ...]) -> None:
    assert round_marks(low, high) == pytest.approx(marks)


def test_marks_of_whole_numbers_are_whole() -> None:
    assert round_marks(1, 10, whole=True) == (2, 4, 6, 8, 10)
    assert round_marks(0, 3, whole=True) == (0, 1, 2, 3)
    assert round_marks(0, 1000, whole=True) == (0, 250, 500, 750, 1000)


@given(low=FINITE, wide=st.floats(1e-6, 1e9))
def test_there_are_some_marks_and_not_many(low: float, wide: float) -> None:
    assert 2 <= len(round_marks(low, low + wide)) <= 7


@given(x=st.lists(FINITE, min_size=1, max_size=8), bars=st.booleans())
def test_every_point_and_bar_lies_inside_the_chart(x: list[float], bars: bool) -> None:
    part = Points(name="n", x=x, y=x[::-1], bars=bars)
    axes = Axes.over(part, (430.0, 250.0))
    for a, b in zip(part.x, part.y, strict=True):
        across, down = axes.at(a, b)
        assert -1e-6 <= across <= 430 + 1e-6
        assert -1e-6 <= down <= 250 + 1e-6


def test_a_histogram_has_a_bar_a_bin_that_touch_and_stand_on_zero() -> None:
    drawn = points_chart(Points(name="n", x=[0.5, 1.5, 2.5], y=[0.2, 0.5, 0.3], bars=True))
    assert drawn.count('class="bar"') == 3
    assert "circle" not in drawn
    shapes, high = points_shapes([Points(name="n", x=[0.5, 1.5], y=[1.0, 2.0], bars=True)] * 3, (0.0, 0.0), 700.0)
    assert high == points_shapes([Points(name="n", x=[1.0], y=[1.0])] * 4, (0.0, 0.0), 700.0)[1]
    assert len(shapes) > 9


def test_nothing_is_drawn_of_nothing_and_a_name_is_harmless() -> None:
    assert points_chart(Points(name="n", x=[math.nan], y=[1.0])) == ""
    assert points_shapes([Points(name="n")], (0.0, 0.0), 700.0) == ([], 0)
    assert "<script>" not in points_chart(Points(name="<script>", x=[1.0], y=[1.0], x_name="<script>"))
