"""Points over two axes: as inline SVG, and as shapes of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from rldk.cards.chart import tick
from rldk.cards.drawing import Dot, Rect, Shape, Stroke, Words
from rldk.cards.safe import clean, escape
from rldk.core.view import Points

LEFT, RIGHT, TOP, BOTTOM = 60.0, 14.0, 10.0, 34.0
SIZE = (520.0, 260.0)
MOST = 1000
INK, SOFT, RULE, SHEET, CURVE = "#1b1f24", "#57606a", "#d0d7de", "#f6f7f9", "#0b5cad"

Place = tuple[float, float]


class Axes(Struct, frozen=True):
    """The range of both axes and the size of the chart."""

    x: Place
    y: Place
    size: Place

    @classmethod
    def over(cls, part: Points, size: Place) -> Axes:
        ends = part.ideal or ()
        return cls(_range([*part.x, *(e[0] for e in ends)]), _range([*part.y, *(e[1] for e in ends)]), size)

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
    if low == high:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    room = 0.03 * (high - low)
    return low - room, high + room


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
    places = [axes.at(*point) for point in shown]
    wide, high = SIZE
    label = escape(f"{part.name}: {part.y_name} over {part.x_name}, {len(shown)} points")
    small = len(places) > 100
    look = 'r="1.6" fill-opacity=".45"' if small else 'r="3"'
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" {look}/>' for x, y in places)
    middle = (LEFT + wide - RIGHT) / 2
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    parts = [
        f'<svg class="chart" viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-label="{label}">',
        *(_svg_level(axes, value) for value in _levels(axes.y)),
        *(_svg_mark(axes, value) for value in _levels(axes.x)),
        f'<text x="{middle:.0f}" y="{high - 4:.0f}" text-anchor="middle">{escape(part.x_name)}</text>',
        f'<text x="{LEFT + 4:.0f}" y="{TOP + 10:.0f}">{escape(part.y_name)}</text>',
        _svg_ideal(axes, part),
        f'<path class="line" d="M{line}"/>' if part.joined and len(places) > 1 else "",
        dots,
        "</svg>",
    ]
    return "".join(parts)


def _levels(ends: Place) -> tuple[float, float, float]:
    return ends[0], (ends[0] + ends[1]) / 2, ends[1]


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


def points_shapes(part: Points, corner: Place, size: Place) -> list[Shape]:
    """The shapes of the chart with its top left at `corner`."""
    left, top = corner
    made: list[Shape] = [Rect(x=left, y=top, width=size[0], height=size[1], fill=SHEET)]
    shown = drawn_points(part)
    if not shown:
        return made
    axes = Axes.over(part, size)
    for value in _levels(axes.y):
        (x, y), (end, _) = axes.at(axes.x[0], value), axes.at(axes.x[1], value)
        made.append(Stroke(points=((left + x, top + y), (left + end, top + y)), colour=RULE, width=0.6))
        made.append(Words(x=left + x - 5, y=top + y + 2.7, text=tick(value), size=7.5, colour=SOFT, align="right"))
    for value in _levels(axes.x):
        x, y = axes.at(value, axes.y[0])
        made.append(Words(x=left + x, y=top + y + 11, text=tick(value), size=7.5, colour=SOFT, align="center"))
    middle = left + (LEFT + size[0] - RIGHT) / 2
    made.append(
        Words(x=middle, y=top + size[1] - 6, text=clean(part.x_name, 80), size=7.5, colour=SOFT, align="center")
    )
    made.append(Words(x=left + LEFT + 4, y=top + TOP + 8, text=clean(part.y_name, 80), size=7.5, colour=SOFT))
    places = [(left + x, top + y) for x, y in (axes.at(*point) for point in shown)]
    if part.ideal is not None:
        ends = tuple((left + x, top + y) for x, y in (axes.at(*end) for end in part.ideal))
        made.append(Stroke(points=ends, colour=INK, width=0.9, dashed=True))
    if part.joined and len(places) > 1:
        made.append(Stroke(points=tuple(places), colour=CURVE, width=1.3))
    radius = 1.1 if len(places) > 100 else 2.2
    made += [Dot(x=x, y=y, radius=radius, colour=CURVE) for x, y in places]
    return made
