"""Points over two axes: as inline SVG, and as shapes of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from rldk.cards.chart import tick
from rldk.cards.drawing import Dot, Rect, Shape, Stroke, Words
from rldk.cards.safe import clean, escape
from rldk.core.view import Points

LEFT, RIGHT, TOP, BOTTOM = 46.0, 16.0, 30.0, 36.0
SIZE = (430.0, 250.0)  # of the SVG: on a page its text is then about as large as that beside it
PICTURE_HIGH, CAPTION, GUTTER = 170.0, 14.0, 14.0
MOST = 1000
MANY = 100  # points from which on they are drawn small
INTERVALS = 4  # between marks of an axis, about
INK, SOFT, RULE, SHEET, CURVE = "#1b1f24", "#57606a", "#d0d7de", "#f6f7f9", "#0b5cad"

Place = tuple[float, float]


class Axes(Struct, frozen=True):
    """The range of both axes, the marks on them, and the size of the chart."""

    x: Place
    y: Place
    size: Place
    marks: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @classmethod
    def over(cls, part: Points, size: Place) -> Axes:
        ends = part.ideal or ()
        half = bar_width(part) / 2
        x = _range([*(v - half for v in part.x), *(v + half for v in part.x), *(e[0] for e in ends)])
        y = _range([*part.y, *(e[1] for e in ends), *((0.0,) if part.bars else ())])
        whole = not part.bars and all(float(v).is_integer() for v in part.x if math.isfinite(v))
        marks = round_marks(*x, whole=whole), round_marks(*y)
        return cls(_reaching(x, marks[0]), _reaching(y, marks[1]), size, marks)

    def at(self, x: float, y: float) -> Place:
        """The place of a point in the chart, from its top left."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            LEFT + across * (self.size[0] - LEFT - RIGHT),
            self.size[1] - BOTTOM - up * (self.size[1] - TOP - BOTTOM),
        )


def _range(values: Sequence[float]) -> Place:
    there = [v for v in values if math.isfinite(v)]
    low, high = (min(there), max(there)) if there else (0.0, 1.0)
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    return low, high


def _reaching(ends: Place, marks: Sequence[float]) -> Place:
    """The range up to marks that lie at its ends, with some room beyond values that lie elsewhere."""
    room = 0.03 * (ends[1] - ends[0])
    low, high = marks[0] if marks else ends[0], marks[-1] if marks else ends[1]
    return (low if low <= ends[0] else ends[0] - room), (high if high >= ends[1] else ends[1] + room)


def round_marks(low: float, high: float, *, whole: bool = False) -> tuple[float, ...]:
    """Round numbers between `low` and `high`, or up to a twentieth of the range outside; about five of them. `whole`:
    whole numbers only."""
    wide = (high - low) / INTERVALS
    if not (math.isfinite(wide) and wide > 0):
        return ()
    power = 10.0 ** math.floor(math.log10(wide))
    step = next((m * power for m in (1, 2, 2.5, 5) if m * power >= wide * (1 - 1e-9)), 10 * power)
    if whole and not step.is_integer():
        step = 2.0 if step > 1 else 1.0
    room = 0.05 * (high - low)
    first, last = math.ceil((low - room) / step), math.floor((high + room) / step)
    return tuple(step * place for place in range(first, last + 1)) if step > 0 else ()


def bar_width(part: Points) -> float:
    """How wide a bar is: the least distance between neighbours; 0 where there are none."""
    if not part.bars:
        return 0.0
    places = sorted({x for x in part.x if math.isfinite(x)})
    return min((b - a for a, b in pairwise(places)), default=1.0)


def drawn_points(part: Points) -> list[Place]:
    """The finite points, at most a thousand of them, evenly chosen."""
    there = [(x, y) for x, y in zip(part.x, part.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    step = max(1, math.ceil(len(there) / MOST))
    return there[::step]


def points_chart(part: Points) -> str:
    """An inline SVG; "" without a point."""
    shown = drawn_points(part)
    if not shown:
        return ""
    axes = Axes.over(part, SIZE)
    wide, high = SIZE
    label = escape(f"{part.name}: {part.y_name} over {part.x_name}, {len(shown)} points")
    middle = (LEFT + wide - RIGHT) / 2
    return "".join(
        [
            f'<svg class="chart" viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-label="{label}">',
            *(_svg_level(axes, value) for value in axes.marks[1]),
            *(_svg_mark(axes, value) for value in axes.marks[0]),
            f'<text x="{middle:.0f}" y="{high - 5:.0f}" text-anchor="middle">{escape(part.x_name)}</text>',
            f'<text x="6" y="14">{escape(part.y_name)}</text>',
            _svg_ideal(axes, part),
            _svg_points(axes, part, shown),
            "</svg>",
        ]
    )


def _svg_points(axes: Axes, part: Points, shown: Sequence[Place]) -> str:
    if part.bars:
        boxes = (_bar(axes, part, point) for point in shown)
        return "".join(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>'
                       for x, y, w, h in boxes)  # fmt: skip
    places = [axes.at(*point) for point in shown]
    look = 'r="1.6" fill-opacity=".45"' if len(places) > MANY else 'r="3"'
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    path = f'<path class="line" d="M{line}"/>' if part.joined and len(places) > 1 else ""
    return path + "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" {look}/>' for x, y in places)


def _bar(axes: Axes, part: Points, point: Place) -> tuple[float, float, float, float]:
    """Left, top, width and height of the bar of a point."""
    half = bar_width(part) / 2
    (left, top), (right, base) = (
        axes.at(point[0] - half, max(point[1], 0.0)),
        axes.at(point[0] + half, min(point[1], 0)),
    )
    return left, top, right - left, base - top


def _svg_level(axes: Axes, value: float) -> str:
    left, y = axes.at(axes.x[0], value)
    right, _ = axes.at(axes.x[1], value)
    text = f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick(value)}</text>'
    return f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>{text}'


def _svg_mark(axes: Axes, value: float) -> str:
    x, y = axes.at(value, axes.y[0])
    return f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle">{tick(value)}</text>'


def _svg_ideal(axes: Axes, part: Points) -> str:
    if part.ideal is None:
        return ""
    (a, b), (c, d) = (axes.at(*end) for end in part.ideal)
    return f'<path class="limit" d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}"/>'


def points_shapes(parts: Sequence[Points], corner: Place, width: float) -> tuple[list[Shape], float]:
    """The shapes of charts in two columns with their top left at `corner`, and how high they are."""
    drawn = [part for part in parts if drawn_points(part)]
    wide, row = (width - GUTTER) / 2, CAPTION + PICTURE_HIGH + 8
    made: list[Shape] = []
    for place, part in enumerate(drawn):
        left, top = corner[0] + (place % 2) * (wide + GUTTER), corner[1] + (place // 2) * row
        made.append(Words(x=left, y=top + 10, text=clean(part.name, 70), size=8.5, colour=SOFT))
        made += _shapes(part, (left, top + CAPTION), (wide, PICTURE_HIGH))
    return made, row * math.ceil(len(drawn) / 2)


def _shapes(part: Points, corner: Place, size: Place) -> list[Shape]:
    left, top = corner
    axes = Axes.over(part, size)

    def at(x: float, y: float) -> Place:
        across, down = axes.at(x, y)
        return left + across, top + down

    made: list[Shape] = [Rect(x=left, y=top, width=size[0], height=size[1], fill=SHEET)]
    for value in axes.marks[1]:
        (x, y), end = at(axes.x[0], value), at(axes.x[1], value)
        made.append(Stroke(points=((x, y), end), colour=RULE, width=0.6))
        made.append(Words(x=x - 5, y=y + 2.7, text=tick(value), size=7.5, colour=SOFT, align="right"))
    for value in axes.marks[0]:
        x, y = at(value, axes.y[0])
        made.append(Words(x=x, y=y + 11, text=tick(value), size=7.5, colour=SOFT, align="center"))
    middle = left + (LEFT + size[0] - RIGHT) / 2
    words = clean(part.x_name, 80), clean(part.y_name, 80)
    made.append(Words(x=middle, y=top + size[1] - 7, text=words[0], size=7.5, colour=SOFT, align="center"))
    made.append(Words(x=left + 5, y=top + 12, text=words[1], size=7.5, colour=SOFT))
    if part.ideal is not None:
        made.append(Stroke(points=tuple(at(*end) for end in part.ideal), colour=INK, width=0.9, dashed=True))
    shown = drawn_points(part)
    if part.bars:
        boxes = [_bar(axes, part, point) for point in shown]
        return made + [Rect(x=left + x, y=top + y, width=w - 0.6, height=h, fill=CURVE) for x, y, w, h in boxes]
    places = [at(*point) for point in shown]
    if part.joined and len(places) > 1:
        made.append(Stroke(points=tuple(places), colour=CURVE, width=1.3))
    radius = 1.1 if len(places) > MANY else 2.2
    return made + [Dot(x=x, y=y, radius=radius, colour=CURVE) for x, y in places]
