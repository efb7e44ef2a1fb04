"""Curves as text and as SVG."""

from __future__ import annotations

import math
import re
import sys
from typing import Any
from xml.etree import ElementTree

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.cards.chart import BLOCKS, Plot, line_chart, number, sparkline
from rldk.cards.series import Series, series_of
from rldk.core.view import Band, Limit
from rldk.testing import run_of

VALUES = st.lists(st.floats() | st.none(), min_size=1, max_size=120).filter(lambda v: any(x is not None for x in v))


def curve(*values: float | None) -> Series:
    return series_of(run_of({"m": list(values), "other": [1.0] * len(values)}).metrics, "m")


def test_sparkline_rises_with_the_values_and_marks_the_range() -> None:
    blocks, under = sparkline(curve(*range(8)), (3, 5))
    assert (blocks, under) == (BLOCKS, "  ╰─╯")


def test_sparkline_shows_a_spike_that_its_column_would_average_away() -> None:
    values = [math.sin(i) * 0.01 for i in range(6000)]
    values[3000] = 50.0
    assert sparkline(curve(*values))[0].count("█") == 1


def test_sparkline_of_a_constant_is_flat_and_of_nan_is_crossed() -> None:
    assert sparkline(curve(2.0, 2.0, 2.0))[0] == "▁▁▁"
    assert sparkline(curve(1.0, math.nan, 3.0), (2, 2)) == ("▁×█", " ^")


def test_steps_that_round_to_uneven_columns_leave_no_holes() -> None:
    run = run_of({"m": list(range(60))}, step=[512 * (i + 1) for i in range(60)])
    blocks, _ = sparkline(series_of(run.metrics, "m"))
    assert " " not in blocks
    assert list(blocks) == sorted(blocks)


@given(VALUES, st.integers(1, 80))
def test_any_curve_fits_its_width_and_its_mark_below_it(values: list[Any], width: int) -> None:
    blocks, under = sparkline(curve(*values), (1, len(values)), width)
    assert len(under) <= max(1, len(blocks)) <= width


@given(VALUES)
def test_any_chart_is_well_formed_and_inside_its_box(values: list[Any]) -> None:
    svg = line_chart(curve(*values), "m", bands=[Band(first=0, last=99, kind="warn", label="x")], size=(400, 150))
    if not svg:
        return
    ElementTree.fromstring(svg)
    line = re.search(r'class="line" d="([^"]*)"', svg)
    assert line
    for x, y in re.findall(r"[ML](\S+) ([-\d.]+)", line[1]):
        assert 0 <= float(x) <= 400
        assert 0 <= float(y) <= 150


@each_of("value", [sys.float_info.max, -sys.float_info.max, sys.float_info.min, 5e-324, 0.0])
def test_the_axis_of_equal_values_is_finite(value: float) -> None:
    plot = Plot.over([0], [value, value], (400, 150))
    assert plot.low < plot.high
    assert math.isfinite(plot.low)
    assert math.isfinite(plot.high)
    assert 0 <= plot.y(value) <= 150


def test_chart_shades_the_steps_dashes_the_limit_and_ticks_nan() -> None:
    svg = line_chart(
        curve(0.0, 1.0, math.nan, 4.0, 5.0),
        "kl",
        bands=[Band(first=4, last=5, kind="critical", label="KL001")],
        limits=[Limit(value=3.0, label="KL001 3")],
    )
    assert 'class="band critical"' in svg
    assert 'class="limit"' in svg
    assert svg.count('class="gap"') == 1


def test_a_limit_far_from_the_curve_does_not_flatten_it() -> None:
    assert "limit" not in line_chart(curve(0.1, 0.2), "kl", limits=[Limit(value=1e6, label="x")])


def test_names_cannot_break_out_of_the_svg() -> None:
    svg = line_chart(
        curve(1.0, 2.0, 3.0), '"><script>', bands=[Band(first=1, last=2, kind='x" onload="', label="</title>")]
    )
    assert "<script" not in svg
    assert {e.tag for e in ElementTree.fromstring(svg).iter()} <= {
        "svg",
        "rect",
        "title",
        "path",
        "text",
    }
    assert all("onload" not in e.attrib for e in ElementTree.fromstring(svg).iter())


@each_of(
    ("value", "text"),
    [
        (None, "-"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
        (1234.0, "1,234"),
        (0.000123456, "0.0001235"),
        (1e300, "1e+300"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text
