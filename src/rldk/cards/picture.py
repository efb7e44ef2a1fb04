"""A view laid out as one picture: what the PNG and the SVG draw. Nothing here knows how shapes are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from rldk.cards.chart import Plot, in_reach, near_limits, tick
from rldk.cards.drawing import Colour, Dot, Drawing, Measure, Rect, Stroke, Words
from rldk.cards.points import points_shapes
from rldk.cards.safe import clean
from rldk.cards.words import plural
from rldk.core.view import (
    Band,
    Bullets,
    Charts,
    Commands,
    Curve,
    Facts,
    Limit,
    Paragraph,
    Part,
    Points,
    Section,
    Table,
    View,
)

WIDTH, MARGIN = 760.0, 36.0
TALLEST = 5000.0  # a picture that is taller cannot be looked at, and takes a gigabyte to draw
MOST_ROWS, MOST_ITEMS, MOST_CURVES, MOST_VIEWS = 24, 14, 12, 6
FEW_CURVES = 4  # of each report, where there are several
CELL_LINES = 4
TITLE, HEAD, BODY, SMALL = 13.0, 11.5, 9.5, 8.5
INK, SOFT, RULE, SHEET, CURVE, PAPER = "#1b1f24", "#57606a", "#d0d7de", "#f6f7f9", "#0b5cad", "#ffffff"
TONES = {"critical": "#b3201c", "warn": "#8a5300", "info": "#0b5cad", "ok": "#1a6b34", "": SOFT}
SHADES = {"critical": "#f4b8b4", "warn": "#f5d9a0", "info": "#bcd8f5", "onset": SOFT}
GUTTER, GAP = 14.0, 12.0


class Picture(Struct, frozen=True, kw_only=True):
    """The finished drawing. `title`: what the file says it shows."""

    drawing: Drawing
    width: float
    height: float
    title: str


def picture(views: View | Sequence[View], measure: Measure, *, everything: bool = False) -> Picture:
    """One or several views below each other. Long tables, many curves and many views are cut with a sentence.

    `everything`: also draw the sections that are details."""
    many = [views] if isinstance(views, View) else list(views)
    drawing = Drawing(measure=measure, left=MARGIN, width=WIDTH - 2 * MARGIN, y=MARGIN)
    for place, view in enumerate(many):
        if place == MOST_VIEWS or drawing.y > TALLEST:
            _aside(drawing, f"{plural(len(many) - place, 'more report')} not drawn: --html shows them all.")
            break
        drawing.y += 2 * GUTTER if place else 0.0
        _view(drawing, view, everything=everything, curves=MOST_CURVES if len(many) == 1 else FEW_CURVES)
    title = many[0].title if len(many) == 1 else plural(len(many), "report")
    return Picture(drawing=drawing, width=WIDTH, height=drawing.y + MARGIN, title=clean(title, 200))


def _view(drawing: Drawing, view: View, *, everything: bool, curves: int) -> None:
    _prose(drawing, f"rldk \N{MIDDLE DOT} {view.source or view.title}", size=SMALL, colour=SOFT, most=2)
    drawing.y += 4
    _framed(drawing, TONES[view.tone], lambda: _banner(drawing, view), fill=SHEET)
    for place, section in enumerate(view.sections):
        if drawing.y > TALLEST:
            left = plural(len(view.sections) - place, "more section")
            _aside(drawing, f"The picture ends here: {left} not drawn. The page of --html has everything.")
            return
        if section.detail and not everything:
            _aside(drawing, section.brief)
        elif section.code:
            drawing.y += GAP
            _framed(drawing, TONES[section.tone], lambda section=section: _incident(drawing, section))
        elif not all(isinstance(part, Commands) for part in section.parts):
            _section(drawing, section, curves)


def _banner(drawing: Drawing, view: View) -> None:
    _badge(drawing, view.badge, TONES[view.tone])
    _prose(drawing, view.banner, size=HEAD)
    if view.reserve:
        drawing.y += 3
        _prose(drawing, view.reserve, colour=SOFT)


def _incident(drawing: Drawing, section: Section) -> None:
    tone = TONES[section.tone]
    _badge(
        drawing,
        section.title,
        tone,
        beside=f"`{section.code}` {section.name}{f', {section.extent}' if section.extent else ''}",
    )
    for part in section.parts:
        _part(drawing, part)


def _section(drawing: Drawing, section: Section, curves: int) -> None:
    drawing.y += 2 * GAP
    _prose(drawing, section.title, size=TITLE, face="bold")
    _rule(drawing)
    drawing.y += 6
    for part in section.parts:
        _part(drawing, part, curves)


def _part(drawing: Drawing, part: Part, curves: int = MOST_CURVES) -> None:
    match part:
        case Paragraph():
            _prose(drawing, part.text, colour=SOFT if part.soft else INK)
        case Bullets():
            _bullets(drawing, part)
        case Table():
            _table(drawing, part)
        case Curve():
            _figures(drawing, [part], columns=1)
        case Charts():
            _aside(drawing, part.note)
            _figures(drawing, part.curves[:curves], columns=2)
            left = len(part.curves) - curves
            _aside(drawing, f"{plural(left, 'more curve')} not drawn." if left > 0 else "")
            _points(drawing, part.points)
        case Points():
            _points(drawing, (part,))
        case Facts():
            _grid(drawing, Table(heads=(), rows=part.pairs))
        case Commands():
            for line in part.lines:
                _prose(drawing, f"`{line.replace('`', '')}`")
    drawing.y += 4


def _points(drawing: Drawing, parts: Sequence[Points]) -> None:
    shapes, high = points_shapes(parts, (drawing.left, drawing.y), drawing.width)
    drawing.shapes += shapes
    drawing.y += high


def _bullets(drawing: Drawing, part: Bullets) -> None:
    if part.title:
        drawing.y += 2
        _prose(drawing, part.title, size=SMALL, colour=SOFT, face="bold")
    for place, item in enumerate(part.items[:MOST_ITEMS], 1):
        hang = "" if part.plain else f"{place}." if part.ranked else "\N{BULLET}"
        _prose(drawing, item, hang=hang, most=8)
    left = len(part.items) - MOST_ITEMS
    _aside(drawing, f"{plural(left, 'more line')} not drawn." if left > 0 else "")


def _table(drawing: Drawing, table: Table) -> None:
    if table.title:
        _prose(drawing, table.title, size=SMALL, colour=SOFT, face="bold")
    _grid(drawing, table)
    left = len(table.rows) - MOST_ROWS
    _aside(drawing, f"{plural(left, 'more row')} not drawn: --json and --html have them." if left > 0 else "")
    _aside(drawing, table.note)


def _grid(drawing: Drawing, table: Table) -> None:
    rows = table.rows[:MOST_ROWS]
    columns = len(table.heads) or len(rows[0]) if rows or table.heads else 0
    drawn = 90.0 if any(table.shares) else 0.0
    widths = _columns(drawing, table, rows, columns, drawing.width - drawn)
    if table.heads:
        _row(drawing, table.heads, widths, face="bold", colour=SOFT)
    tones = [*table.tones, *[""] * len(rows)]
    shares = [*table.shares, *[None] * len(rows)]
    for row, tone, share in zip(rows, tones, shares, strict=False):
        top = drawing.y
        _row(drawing, row, widths, first=TONES[tone] if tone else "")
        if share is not None:
            _interval(drawing, share, drawing.left + drawing.width - drawn, top + SMALL, drawn)


def _columns(drawing: Drawing, table: Table, rows: Sequence[Sequence[str]], count: int, room: float) -> list[float]:
    """The widths of the columns: as wide as their text where all fit; otherwise the widest share what is left."""
    wanted = [max((drawing.natural(row[i], size=SMALL) for row in rows), default=0.0) + GUTTER for i in range(count)]
    for i, head in enumerate(table.heads):
        wanted[i] = max(wanted[i], drawing.natural(head, size=SMALL, face="bold") + GUTTER)
    left, open_columns = room, set(range(count))
    widths = [0.0] * count
    while open_columns:
        share = left / len(open_columns)
        small = {i for i in open_columns if wanted[i] <= share}
        if not small:
            for i in open_columns:
                widths[i] = share
            break
        for i in small:
            widths[i] = wanted[i]
            left -= wanted[i]
        open_columns -= small
    return widths


def _row(
    drawing: Drawing,
    cells: Sequence[str],
    widths: Sequence[float],
    *,
    face: str = "plain",
    colour: Colour = INK,
    first: Colour = "",
) -> None:
    """A row of wrapped cells with a rule below. `first`: the colour of the first cell."""
    top, deepest, x = drawing.y + 2, drawing.y + 2, drawing.left
    for place, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        drawing.y = top
        tint = first if first and not place else colour
        lines = drawing.wrapped(cell, max(12.0, width - GUTTER), size=SMALL, face="bold" if face == "bold" else "plain")
        drawing.lines(lines, x, size=SMALL, colour=tint, code=tint, most=CELL_LINES)
        deepest, x = max(deepest, drawing.y), x + width
    drawing.y = max(deepest, top + SMALL * 1.4)
    _rule(drawing)


def _interval(drawing: Drawing, share: tuple[float, float, float], x: float, y: float, width: float) -> None:
    low, dot, high = (x + 4 + min(max(s, 0.0), 1.0) * (width - 8) for s in share)
    drawing.shapes += [
        Stroke(points=((x + 4, y), (x + width - 4, y)), colour=RULE),
        Stroke(points=((low, y), (high, y)), colour=CURVE, width=1.6),
        Dot(x=dot, y=y, radius=2.6, colour=CURVE),
    ]


def _figures(drawing: Drawing, curves: Sequence[Curve], *, columns: int) -> None:
    """The curves side by side, so many in a row."""
    wide = (drawing.width - (columns - 1) * GUTTER) / columns
    high = 130.0 if columns == 1 else 118.0
    drawn = [curve for curve in curves if any(v is not None for v in curve.value) or curve.gaps]
    for place, curve in enumerate(drawn):
        column = place % columns
        x, top = drawing.left + column * (wide + GUTTER), drawing.y
        _caption(drawing, curve, x, wide)
        _chart(drawing, curve, x, top + SMALL * 1.6, (wide, high))
        last = column == columns - 1 or place == len(drawn) - 1
        drawing.y = top + SMALL * 1.6 + high + 10 if last else top


def _caption(drawing: Drawing, curve: Curve, x: float, width: float) -> None:
    codes = ", ".join(dict.fromkeys(band.label.split(" ")[0] for band in curve.bands if band.kind != "onset"))
    logged = f", logged as `{clean(curve.logged_as, 40)}`" if curve.logged_as else ""
    text = f"`{clean(curve.name, 60)}`{logged}{f', shaded: {codes}' if codes else ''}"
    lines = drawing.wrapped(text, width, size=SMALL)
    drawing.lines(lines, x, size=SMALL, colour=SOFT, code=INK, most=1)


def _chart(drawing: Drawing, curve: Curve, left: float, top: float, size: tuple[float, float]) -> None:
    points = [(s, v) for s, v in zip(curve.step, curve.value, strict=True) if v is not None]
    values = [v for _, v in points]
    near = near_limits(curve.limits, values)
    steps = [*(s for s, _ in points), *curve.gaps, *(curve.span or ())]
    others = in_reach(curve.beside, values)
    heights = [*values, *(n.value for n in near), *others]
    plot = Plot.over(steps, heights, (round(size[0]), round(size[1])), log=curve.log)
    drawing.shapes.append(Rect(x=left, y=top, width=size[0], height=size[1], fill=SHEET))
    for line in curve.beside:
        at = tuple(
            (left + plot.x(s), top + plot.inside(v))
            for s, v in zip(line.step, line.value, strict=True)
            if v is not None
        )
        other = line.kind == "other"
        drawing.shapes.append(Stroke(points=at, colour=SOFT if other else RULE, width=1.0, dashed=other))
    for band in curve.bands:
        drawing.shapes.append(_band(band, plot, left, top))
    for place, value in enumerate(plot.levels()):
        _level(drawing, plot, left, top, value, low=not place)
    for place, limit in enumerate(near):
        _limit(drawing, plot, left, top, (limit, place))
    for step in curve.gaps:
        x = left + plot.x(step)
        drawing.shapes.append(
            Stroke(points=((x, top + plot.floor), (x, top + plot.floor - 7)), colour=TONES["critical"])
        )
    for run in _unbroken(curve):
        at = tuple((left + plot.x(s), top + plot.y(v)) for s, v in run)
        drawing.shapes.append(Stroke(points=at, colour=CURVE, width=1.3) if len(at) > 1 else _point(at[0]))
    below = top + plot.floor + 13
    word = f"{curve.axis} (values on a log scale)" if plot.log else curve.axis
    for x, text, align in (
        (left + plot.x(plot.first) if plot.first != plot.last else left + size[0] / 2, f"{plot.first:,}", "left"),
        (left + plot.right, f"{plot.last:,}" if plot.first != plot.last else "", "right"),
        (left + (60 + plot.right) / 2, word if plot.first != plot.last else "", "center"),
    ):
        drawing.shapes.append(Words(x=x, y=below, text=text, size=7.5, colour=SOFT, align=align))  # type: ignore[arg-type]


def _point(at: tuple[float, float]) -> Dot:
    return Dot(x=at[0], y=at[1], radius=2.2, colour=CURVE)


def _unbroken(curve: Curve) -> Iterable[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for step, value in zip(curve.step, curve.value, strict=True):
        if value is not None:
            run.append((step, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _band(band: Band, plot: Plot, left: float, top: float) -> Rect:
    a, b = plot.x(band.first), plot.x(band.last)
    width = max(b - a, 1.0 if band.kind == "onset" else 2.0)
    x = min(a, plot.right - width)
    shade = SHADES.get(band.kind, SHADES["info"])
    return Rect(x=left + x, y=top + 10, width=width, height=plot.floor - 10, fill=shade, alpha=0.55)


def _level(drawing: Drawing, plot: Plot, left: float, top: float, value: float, *, low: bool) -> None:
    y = top + plot.y(value)
    drawing.shapes += [
        Stroke(points=((left + 60, y), (left + plot.right, y)), colour=RULE, width=0.8 if low else 0.5),
        Words(x=left + 55, y=y + 2.7, text=tick(value), size=7.5, colour=SOFT, align="right"),
    ]


def _limit(drawing: Drawing, plot: Plot, left: float, top: float, limit: tuple[Limit, int]) -> None:
    level, place = limit
    if plot.log and level.value <= 0:
        return
    y = plot.y(level.value)
    under = y - 3 if y > 22 else y + 9
    x, align = (left + 64, "left") if place % 2 else (left + plot.right - 4, "right")
    drawing.shapes += [
        Stroke(points=((left + 60, top + y), (left + plot.right, top + y)), colour=INK, width=0.9, dashed=True),
        Words(x=x, y=top + under, text=clean(level.label, 40), size=7.5, colour=INK, align=align),  # type: ignore[arg-type]
    ]


def _framed(drawing: Drawing, tone: Colour, draw: object, *, fill: Colour = PAPER) -> None:
    """Draws inside a frame with a bar of the tone at its left."""
    top, place = drawing.y, len(drawing.shapes)
    left, width = drawing.left, drawing.width
    drawing.left, drawing.width, drawing.y = left + GUTTER, width - 2 * GUTTER, top + 9
    draw()  # type: ignore[operator]
    drawing.left, drawing.width, drawing.y = left, width, drawing.y + 7
    high = drawing.y - top
    frame = Rect(x=left, y=top, width=width, height=high, fill=fill, edge=RULE)
    drawing.shapes[place:place] = [frame, Rect(x=left, y=top, width=4.0, height=high, fill=tone)]


def _badge(drawing: Drawing, word: str, tone: Colour, *, beside: str = "") -> None:
    text = clean(word, 60)
    wide = drawing.measure(text, "bold", SMALL) + 10
    drawing.shapes += [
        Rect(x=drawing.left, y=drawing.y, width=wide, height=SMALL * 1.55, edge=tone),
        Words(x=drawing.left + 5, y=drawing.y + SMALL * 1.14, text=text, size=SMALL, colour=tone, face="bold"),
    ]
    if beside:
        lines = drawing.wrapped(beside, drawing.width - wide - 8, size=BODY)
        start = drawing.y
        drawing.lines(lines, drawing.left + wide + 8, size=BODY, colour=SOFT, code=INK, most=2)
        drawing.y = max(drawing.y, start + SMALL * 1.8)
    else:
        drawing.y += SMALL * 2.0


def _prose(
    drawing: Drawing,
    text: str,
    *,
    size: float = BODY,
    colour: Colour = INK,
    face: str = "plain",
    hang: str = "",
    most: int = 14,
) -> None:
    shift = drawing.measure(f"{hang} ", "plain", size) + 2 if hang else 0.0
    if hang:
        drawing.shapes.append(Words(x=drawing.left, y=drawing.y + size * 1.1, text=hang, size=size, colour=SOFT))
    lines = drawing.wrapped(text, drawing.width - shift, size=size, face="bold" if face == "bold" else "plain")
    drawing.lines(lines, drawing.left + shift, size=size, colour=colour, code=colour, most=most)


def _aside(drawing: Drawing, text: str) -> None:
    if text:
        drawing.y += 4
        _prose(drawing, text, size=SMALL, colour=SOFT)


def _rule(drawing: Drawing) -> None:
    y = drawing.y + 1
    drawing.shapes.append(Stroke(points=((drawing.left, y), (drawing.left + drawing.width, y)), colour=RULE, width=0.6))
    drawing.y += 2
