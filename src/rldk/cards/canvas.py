"""Draws a picture with matplotlib, the same bytes for the same picture whatever the user's settings are."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from rldk.cards.drawing import Dot, Face, Rect, Shape, Stroke, Words
from rldk.cards.picture import PAPER, Picture
from rldk.core.extras import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

FILES: Mapping[Face, str] = {"plain": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "mono": "DejaVuSansMono.ttf"}
UNKNOWN = "\N{WHITE SQUARE}"  # stands for a character that the fonts of matplotlib do not have
POINTS = 72.0  # an inch
DPI = 160  # of a PNG
_SETTINGS = {"svg.hashsalt": "rldk", "svg.fonttype": "path", "text.hinting": "none", "text.usetex": False}


def measure(text: str, face: Face, size: float) -> float:
    """The width of a text in points."""
    return sum(map(_advances(face).__getitem__, drawable(text, face))) * size


def drawable(text: str, face: Face) -> str:
    """The text, where each character that the font does not have is a square."""
    known = _advances(face)
    return text if all(c in known for c in text) else "".join(c if c in known else UNKNOWN for c in text)


def draw(picture: Picture, form: str) -> bytes:
    """The picture as the bytes of a PNG or SVG file. Raises `MissingExtra` without matplotlib."""
    with need("plot", "matplotlib"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    out = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(picture.width / POINTS, picture.height / POINTS), dpi=DPI, facecolor=PAPER)
        _add(figure, picture)
        about: dict[str, Any] = {"Title": picture.title, "Date": None, "Creator": "rldk"}
        if form == "png":
            about = {"Title": picture.title.encode("latin-1", "replace").decode("latin-1"), "Software": "rldk"}
        figure.savefig(out, format=form, metadata=about, dpi=DPI)
    return out.getvalue()


def _add(figure: Figure, picture: Picture) -> None:
    from matplotlib.transforms import Affine2D

    down = Affine2D().scale(1 / POINTS, -1 / POINTS).translate(0, picture.height / POINTS)
    place = down + figure.dpi_scale_trans
    for shape in picture.drawing.shapes:
        figure.add_artist(_artist(shape, place))


def _artist(shape: Shape, place: Any) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, Rectangle
    from matplotlib.text import Text

    match shape:
        case Words():
            return Text(
                shape.x,
                shape.y,
                drawable(shape.text, shape.face),
                fontproperties=_font(shape.face, shape.size),
                color=shape.colour,
                horizontalalignment=shape.align,
                verticalalignment="baseline",
                parse_math=False,
                transform=place,
            )
        case Rect():
            look = {"facecolor": shape.fill or "none", "edgecolor": shape.edge or "none", "alpha": shape.alpha}
            return Rectangle((shape.x, shape.y), shape.width, shape.height, linewidth=0.8, transform=place, **look)
        case Stroke():
            xs, ys = zip(*shape.points, strict=True)
            style = (0, (5, 3)) if shape.dashed else "-"
            return Line2D(
                xs, ys, color=shape.colour, linewidth=shape.width, linestyle=style, transform=place,
                solid_joinstyle="round",
            )  # fmt: skip
        case Dot():
            return Circle((shape.x, shape.y), shape.radius, facecolor=shape.colour, edgecolor="none", transform=place)


@cache
def _path(face: Face) -> str:
    with need("plot", "matplotlib"):
        import matplotlib as mpl
    return f"{mpl.get_data_path()}/fonts/ttf/{FILES[face]}"


def _font(face: Face, size: float) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=_path(face), size=size)


@cache
def _advances(face: Face) -> dict[str, float]:
    """The width of every character of the font, in sizes of the text."""
    path = _path(face)
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(path)
    font.set_size(100, 72)
    widths = {}
    for code, glyph in font.get_charmap().items():
        loaded = font.load_glyph(glyph, flags=LoadFlags.NO_HINTING)
        widths[chr(code)] = loaded.linearHoriAdvance / 65536 / 100
    return widths
