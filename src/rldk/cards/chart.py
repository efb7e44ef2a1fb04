"""Curves as text (`sparkline`) and as inline SVG (`line_chart`), with the important steps marked."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from msgspec import Struct

from rldk.cards.safe import escape
from rldk.cards.series import Series
from rldk.core.stats.robust import MAD_TO_SD
from rldk.core.view import Band, Limit, SideLine

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "×"  # a column whose values the source stated as NaN or infinite only
SPIKE = 6.0  # robust scales from the median of a column beyond which its extreme is drawn instead
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 10, 22  # margins of a chart, in its own pixels
LARGEST = sys.float_info.max
LOG_SPAN = 1000.0  # a positive curve whose largest value is this many times its median is drawn on a log scale


def sparkline(series: Series, mark: tuple[int, int] | None = None, width: int = 60) -> tuple[str, str]:
    """The curve in block characters, and a second line that underlines the columns of the marked steps ("" without).

    A column shows the median of its rows, or its extreme where that stands out by more than `SPIKE` robust scales."""
    points = [(s, v) for s, v in zip(series["step"], series["value"], strict=True) if v is not None]
    steps = [s for s, _ in points] + series["gaps"]
    if not steps:
        return "", ""
    first, last = min(steps), max(steps)
    width = max(1, min(width, len(set(steps))))
    columns: list[list[float]] = [[] for _ in range(width)]
    for s, v in points:
        columns[_column(s, first, last, width)].append(v)
    holes = {_column(s, first, last, width) for s in series["gaps"]}
    shown = _filled(_shown(columns), holes)
    finite = [v for v in shown if v is not None]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    cells = [" " if v is None else _block(v, low, high) for v in shown]
    cells = [GAP if i in holes and shown[i] is None else cell for i, cell in enumerate(cells)]
    if mark is None:
        return "".join(cells), ""
    a, b = (_column(min(max(s, first), last), first, last, width) for s in mark)
    return "".join(cells), " " * a + ("╰" + "─" * (b - a - 1) + "╯" if b > a else "^")


def line_chart(
    series: Series,
    name: str,
    *,
    bands: Sequence[Band] = (),
    limits: Sequence[Limit] = (),
    size: tuple[int, int] = (400, 150),
    span: tuple[int, int] | None = None,
    beside: Sequence[SideLine] = (),
    axis: str = "step",
    log: bool = False,
) -> str:
    """An inline SVG of the curve: bands are shaded, limits dashed, and steps that stated NaN are ticks on the floor.

    `beside`: lines of other runs, and a range to shade. `size`: width and height in pixels. `span`: first and last
    step of the axis, when it is wider than the curve's own. `log`: the axis is logarithmic where it can be."""
    points = [(s, v) for s, v in zip(series["step"], series["value"], strict=True) if v is not None]
    steps = [s for s, _ in points] + series["gaps"]
    if not steps:
        return ""
    values = [v for _, v in points]
    near = near_limits(limits, values)
    others = in_reach(beside, values)
    plot = Plot.over([*steps, *(span or ())], [*values, *(n.value for n in near), *others], size, log=log)
    title = escape(f"{name}, steps {min(steps):,} to {max(steps):,}{_range_words(values)}")
    parts = [
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{title}">',
        *(_band(band, plot) for band in bands),
        *_beside(beside, plot),
        *plot.axes(axis),
        *(_limit(limit, plot, place) for place, limit in enumerate(near)),
        *(f'<path class="gap" d="M{plot.x(s):.1f} {plot.floor}v-9"/>' for s in series["gaps"]),
        f'<path class="line" d="{_path(series, plot)}"/>',
        *(
            f'<circle class="dot" cx="{plot.x(s):.1f}" cy="{plot.y(v):.1f}" r="3"/>'
            for s, v in points
            if len(points) <= 2
        ),
        "</svg>",
    ]
    return "".join(parts)


def number(value: float | None) -> str:
    """A value as a person would write it: four significant digits, "NaN" when it is not a number."""
    if value is None:
        return "-"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}"


def _column(step: int, first: int, last: int, width: int) -> int:
    return 0 if last == first else min(width - 1, (step - first) * width // (last - first))


def _block(value: float, low: float, high: float) -> str:
    return BLOCKS[min(7, int(8 * _share(value, low, high)))]


def _share(value: float, low: float, high: float) -> float:
    """The position of `value` between `low` and `high`, 0 to 1; 0 when they are equal. Halved first: the span may
    overflow."""
    span = high / 2 - low / 2
    return (value / 2 - low / 2) / span if span > 0 else 0.0


def _shown(columns: Sequence[Sequence[float]]) -> list[float | None]:
    middles = [sorted(c)[len(c) // 2] if c else None for c in columns]
    spread = sorted(abs(v - m) for c, m in zip(columns, middles, strict=True) if m is not None for v in c)
    scale = MAD_TO_SD * spread[len(spread) // 2] if spread else 0.0
    shown: list[float | None] = []
    for column, middle in zip(columns, middles, strict=True):
        if middle is None:
            shown.append(None)
            continue
        far = max(column, key=lambda v: abs(v - middle))
        shown.append(far if abs(far - middle) > SPIKE * scale else middle)
    return shown


def _filled(shown: Sequence[float | None], holes: set[int]) -> list[float | None]:
    """Fills single empty columns. One between two full columns is due to rounding and repeats the one before it."""
    full = [v is not None for v in shown]
    last = len(shown) - 1
    return [
        shown[i - 1] if 0 < i < last and i not in holes and not full[i] and full[i - 1] and full[i + 1] else v
        for i, v in enumerate(shown)
    ]


def near_limits(limits: Sequence[Limit], values: Sequence[float]) -> list[Limit]:
    """The limits that can be drawn without flattening the curve: those at most one span of it away."""
    if not values:
        return []
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    return [n for n in limits if math.isfinite(n.value) and low - span <= n.value <= high + span]


def in_reach(lines: Sequence[SideLine], values: Sequence[float]) -> list[float]:
    """The values of other lines for which the axis makes room: all those of a run, and those of a range that do not
    flatten the curve."""
    own = [v for line in lines if line.kind == "other" for v in line.value if v is not None]
    both = [*values, *own]
    edges = [v for line in lines if line.kind != "other" for v in line.value if v is not None]
    if not both:
        return own
    low, high = min(both), max(both)
    span = (high - low) or abs(high) or 1.0
    return [*own, *(v for v in edges if low - span / 2 <= v <= high + span / 2)]


def shaded_range(lines: Sequence[SideLine]) -> list[tuple[int, float, float]]:
    """Step, lower and upper end of the range that the lines bound, where both are known."""
    ends = {line.kind: dict(zip(line.step, line.value, strict=True)) for line in lines if line.kind != "other"}
    low, high = ends.get("low", {}), ends.get("high", {})
    pairs = ((step, low[step], high[step]) for step in low if step in high)
    return [(step, a, b) for step, a, b in pairs if a is not None and b is not None]


class Plot(Struct, frozen=True):
    """The position of steps and values in a chart. `flat`: all values are equal."""

    first: int
    last: int
    low: float
    high: float
    size: tuple[int, int]
    log: bool = False
    flat: bool = False

    @classmethod
    def over(cls, steps: Sequence[int], values: Sequence[float], size: tuple[int, int], *, log: bool = False) -> Plot:
        if not values:
            return cls(min(steps), max(steps), 0.0, 1.0, size)
        low, high = min(values), max(values)
        if low == high:
            pad = abs(low) * 0.1 or 1.0
            ends = max(low - pad, -LARGEST), min(high + pad, LARGEST)
            return cls(min(steps), max(steps), *ends, size, flat=True)
        spread = log or high > LOG_SPAN * sorted(values)[len(values) // 2]
        return cls(min(steps), max(steps), low, high, size, low > 0 and spread)

    @property
    def right(self) -> int:
        return self.size[0] - RIGHT

    @property
    def floor(self) -> int:
        return self.size[1] - BOTTOM

    def x(self, step: float) -> float:
        inside = min(max(step, self.first), self.last)
        share = 0.5 if self.first == self.last else (inside - self.first) / (self.last - self.first)
        return LEFT + share * (self.right - LEFT)

    def y(self, value: float) -> float:
        low, high, v = (math.log(u) for u in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.floor - _share(v, low, high) * (self.floor - TOP)

    def inside(self, value: float) -> float:
        """The height of a value, or of the edge of the chart where it lies outside."""
        return self.y(min(max(value, self.low), self.high))

    def levels(self) -> tuple[float, ...]:
        """The values that the axis names."""
        middle = math.sqrt(self.low) * math.sqrt(self.high) if self.log else self.low / 2 + self.high / 2
        return (middle,) if self.flat else (self.low, middle, self.high)

    def axes(self, axis: str = "step") -> list[str]:
        parts = [
            f'<path class="grid" d="M{LEFT} {self.y(v):.1f}H{self.right}"/>'
            f'<text x="{LEFT - 6}" y="{self.y(v) + 4:.1f}" text-anchor="end">{tick(v)}</text>'
            for v in self.levels()
        ]
        below = self.floor + 16
        parts.append(f'<text x="{LEFT}" y="{below}">{self.first:,}</text>')
        parts.append(f'<text x="{self.right}" y="{below}" text-anchor="end">{self.last:,}</text>')
        word = escape(f"{axis} (values on a log scale)" if self.log else axis)
        parts.append(f'<text x="{(LEFT + self.right) / 2}" y="{below}" text-anchor="middle">{word}</text>')
        return parts


def tick(value: float) -> str:
    """A value for an axis. It has at most seven characters, as long as the exponent has two digits."""
    exact, short = f"{value + 0.0:.3g}", f"{value + 0.0:.2g}"  # + 0.0 avoids "-0"
    return (exact if len(exact) <= 7 else short).replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def _range_words(values: Sequence[float]) -> str:
    return f", from {number(min(values))} to {number(max(values))}" if values else ", never finite"


def _band(band: Band, plot: Plot) -> str:
    a, b = plot.x(band.first), plot.x(band.last)
    width = max(b - a, 1.0 if band.kind == "onset" else 2.0)
    return (
        f'<rect class="band {escape(band.kind)}" x="{min(a, plot.right - width):.1f}" y="{TOP}" width="{width:.1f}" '
        f'height="{plot.floor - TOP}"><title>{escape(band.label)}</title></rect>'
    )


def _beside(lines: Sequence[SideLine], plot: Plot) -> list[str]:
    found = shaded_range(lines)
    upper = [f"{plot.x(step):.1f} {plot.inside(high):.1f}" for step, _, high in found]
    lower = [f"{plot.x(step):.1f} {plot.inside(low):.1f}" for step, low, _ in reversed(found)]
    made = [f'<path class="range" d="M{"L".join([*upper, *lower])}Z"/>'] if found else []
    for line in lines:
        if line.kind == "other":
            points = Series(step=list(line.step), value=list(line.value), gaps=[], rows=len(line.step))
            made.append(f'<path class="other" d="{_path(points, plot)}"><title>{escape(line.name)}</title></path>')
    return made


def _limit(limit: Limit, plot: Plot, place: int) -> str:
    if plot.log and limit.value <= 0:
        return ""
    y = plot.y(limit.value)
    text = y - 4 if y > TOP + 12 else y + 13
    side = (
        f'x="{LEFT + 4}"' if place % 2 else f'x="{plot.right - 4}" text-anchor="end"'
    )  # two close bands stay readable
    return (
        f'<path class="limit" d="M{LEFT} {y:.1f}H{plot.right}"/>'
        f'<text class="limit-name" {side} y="{text:.1f}">{escape(limit.label)}</text>'
    )


def _path(series: Series, plot: Plot) -> str:
    parts: list[str] = []
    pen = "M"
    for step, value in zip(series["step"], series["value"], strict=True):
        if value is not None:
            parts.append(f"{pen}{plot.x(step):.1f} {plot.y(value):.1f}")
        pen = "M" if value is None else "L"
    return "".join(parts)
