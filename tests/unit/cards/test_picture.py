"""The layout of a picture, without the package that draws it: nothing leaves the sheet, nothing is cut unsaid."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.cards import png
from rldk.cards.drawing import Dot, Face, Rect, Shape, Stroke, Words
from rldk.cards.picture import MARGIN, MOST_CURVES, MOST_ITEMS, MOST_ROWS, MOST_VIEWS, TALLEST, WIDTH, picture
from rldk.cards.report_view import view_of
from rldk.core.view import Band, Bullets, Charts, Curve, Facts, Limit, Paragraph, Section, Table, View
from rldk.diagnosis import diagnose
from rldk.errors import MissingExtra

FIXTURES = Path(__file__).parents[2] / "fixtures"


def measure(text: str, face: Face, size: float) -> float:
    return 0.6 * size * len(text)


def view(*parts: object, **options: object) -> View:
    section = Section(title="Part", parts=parts)  # type: ignore[arg-type]
    given: dict[str, object] = {"title": "run", "badge": "FINE", "banner": "Fine.", "sections": (section,), **options}
    return View(kind="test", tone="ok", **given)  # type: ignore[arg-type]


def said(*views: View, **how: bool) -> str:
    shapes = picture(views, measure, **how).drawing.shapes
    return " ".join(shape.text for shape in shapes if isinstance(shape, Words))


def reach(shape: Shape) -> tuple[float, float, float, float]:
    """The smallest and the largest x and y of a shape."""
    match shape:
        case Words():
            wide = measure(shape.text, shape.face, shape.size)
            left = shape.x - {"left": 0.0, "right": wide, "center": wide / 2}[shape.align]
            return left, left + wide, shape.y - shape.size, shape.y
        case Rect():
            return shape.x, shape.x + shape.width, shape.y, shape.y + shape.height
        case Stroke():
            xs, ys = zip(*shape.points, strict=True)
            return min(xs), max(xs), min(ys), max(ys)
        case Dot():
            return shape.x, shape.x, shape.y, shape.y


hostile = st.text(max_size=300) | st.sampled_from(
    [
        "$x^2$ \\frac",
        "\x1b]0;x\x07",
        "<script>alert(1)</script>",
        "a" * 2000,
        "\ud800",
        "`" * 7,
        "x`y`z `w",
        "\u202eevil",
    ]
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
curves = st.builds(
    lambda points, gaps, limit, name: Curve(
        name=name,
        step=[s for s, _ in points],
        value=[v for _, v in points],
        gaps=gaps,
        bands=(Band(first=2, last=9, kind="warn", label="KL001 x"), Band(first=1, last=1, kind="onset", label="x")),
        limits=(Limit(value=limit, label=name),),
    ),
    st.lists(st.tuples(st.integers(0, 1 << 62), numbers | st.none()), max_size=8),
    st.lists(st.integers(0, 99), max_size=3),
    numbers,
    hostile,
)


@settings(deadline=None)
@given(hostile, st.lists(st.tuples(hostile, hostile), max_size=3), curves)
def test_nothing_leaves_the_sheet(text: str, rows: list[tuple[str, str]], curve: Curve) -> None:
    parts = (
        Paragraph(text=text),
        Bullets(title=text, items=(text, "b"), ranked=True),
        Table(title=text, heads=("a", text), rows=tuple(rows), note=text),
        Charts(curves=(curve, curve)),
        curve,
        Facts(pairs=((text, text),)),
    )
    made = picture(view(*parts, banner=text, badge=text, source=text, reserve=text), measure)
    assert made.width == WIDTH
    for shape in made.drawing.shapes:
        left, right, top, bottom = reach(shape)
        roomy = isinstance(shape, Words) and shape.align != "left"  # the labels of an axis may be wide
        assert right <= WIDTH - MARGIN / 2 or roomy, shape
        assert left >= 0 or roomy, shape
        assert top >= 0, shape
        assert bottom <= made.height, shape
        if isinstance(shape, Words):
            assert not {category(c) for c in shape.text} & {"Cc", "Cs"}, shape


def test_a_long_part_is_cut_with_a_sentence() -> None:
    rows = tuple((str(i), "x") for i in range(MOST_ROWS + 3))
    assert "3 more rows not drawn" in said(view(Table(heads=("a", "b"), rows=rows)))
    assert "not drawn" not in said(view(Table(heads=("a", "b"), rows=rows[:MOST_ROWS])))
    assert "1 more line not drawn." in said(view(Bullets(items=("x",) * (MOST_ITEMS + 1))))
    curve = Curve(name="kl", step=[1, 2], value=[1.0, 2.0])
    assert "2 more curves not drawn." in said(view(Charts(curves=(curve,) * (MOST_CURVES + 2))))


def test_many_reports_are_cut_with_a_sentence() -> None:
    assert "2 more reports not drawn" in said(*[view()] * (MOST_VIEWS + 2))
    assert "not drawn" not in said(*[view()] * MOST_VIEWS)


def test_a_picture_that_is_too_tall_ends_with_a_sentence() -> None:
    sections = tuple(Section(title=f"S{i}", parts=(Paragraph(text="word " * 900),)) for i in range(60))
    made = picture(view(sections=sections), measure)
    assert TALLEST < made.height < 1.5 * TALLEST
    words = " ".join(shape.text for shape in made.drawing.shapes if isinstance(shape, Words))
    assert "The picture ends here:" in words
    assert "more sections not drawn" in words


def test_details_are_drawn_on_request_only() -> None:
    detail = Section(title="Depths", parts=(Paragraph(text="deep"),), detail=True, brief="and one detail")
    short, whole = said(view(sections=(detail,))), said(view(sections=(detail,)), everything=True)
    assert ("deep" in short, "and one detail" in short) == (False, True)
    assert ("deep" in whole, "and one detail" in whole) == (True, False)


@pytest.mark.slow
def test_a_report_shows_its_verdict_its_curves_and_its_advice() -> None:
    report = diagnose(FIXTURES / "trl-grpo-collapse")
    made = picture(view_of(report), measure)
    words = " ".join(shape.text for shape in made.drawing.shapes if isinstance(shape, Words))
    assert report.verdict.split(".")[0].split(":")[1].split(",")[0].strip() in words
    assert report.incidents[0].fixes[0].split("`")[0].strip() in words
    assert len([s for s in made.drawing.shapes if isinstance(s, Stroke) and len(s.points) > 50]) >= 5
    assert made == picture(view_of(report), measure)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    from rldk.cards import canvas

    canvas._path.cache_clear()
    canvas._advances.cache_clear()
    with pytest.raises(MissingExtra) as error:
        png.render(view())
    assert error.value.hint == 'pip install "rldk[plot]"'


def test_golden_parts_of_a_picture(golden: Callable[[str, str], None]) -> None:
    bands = (Band(first=2, last=4, kind="warn", label="KL001 x"), Band(first=3, last=3, kind="onset", label="onset y"))
    limits = tuple(Limit(value=value, label=f"at {value:g}") for value in (0.5, 1.9, 2.2))
    whole = Curve(
        name="kl", step=[1, 2, 3, 4, 5], value=[0.5, 1.0, None, 2.0, 1.5], gaps=[3], logged_as="a/b", bands=bands,
        limits=limits, span=(0, 10),
    )  # fmt: skip
    steep = Curve(name="loss", step=[1, 2, 3, 4], value=[1.0, 1.0, 1.0, 5e4], limits=(Limit(value=-1.0, label="low"),))
    alone, empty = Curve(name="one", step=[7], value=[3.0]), Curve(name="none", step=[1], value=[None])
    only_gap = Curve(name="gap", gaps=[4])
    table = Table(
        heads=("name", "share"), rows=(("a", "1 of 2"), ("b", "0 of 2"), ("c", "-")),
        shares=((0.1, 0.5, 0.9), (-1.0, 0.0, 2.0), None), tones=("warn", "", "critical"), note="A note.",
    )  # fmt: skip
    made = picture(view(whole, steep, Charts(curves=(whole, alone, empty, only_gap, steep)), table), measure)
    lines = [f"{made.width} wide, {made.height:.7g} high"]
    for shape in made.drawing.shapes:
        told = {name: getattr(shape, name) for name in shape.__struct_fields__}
        lines.append(" ".join([type(shape).__name__, *(f"{name}={_rounded(x)}" for name, x in told.items())]))
    golden("picture-parts.txt", "\n".join(lines) + "\n")


def _rounded(value: object) -> str:
    """Numbers to a thousandth of a point."""
    if isinstance(value, float):
        return f"{value:.7g}"
    return f"({', '.join(map(_rounded, value))})" if isinstance(value, tuple) else repr(value)
