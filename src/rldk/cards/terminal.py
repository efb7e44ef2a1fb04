"""A view as text: the verdict first, then what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TypeVar

from rldk.cards.chart import number, sparkline
from rldk.cards.columns import align_columns
from rldk.cards.report_view import view_of
from rldk.cards.safe import clean
from rldk.cards.series import Series
from rldk.cards.words import plural
from rldk.core.model import Report
from rldk.core.registry import renderers
from rldk.core.view import Bullets, Charts, Commands, Curve, Facts, Paragraph, Part, Points, Section, Table, View

MAX_INCIDENTS = 5
NAME = 28  # characters of a name in a table that is trimmed
LEAST_TEXT = 16  # columns that are wide enough for a text
SPREAD = 24  # columns kept right of a sparkline for its range of values or steps
STYLES = {"critical": "1;31", "warn": "1;33", "info": "36", "head": "1", "dim": "2", "ok": "1;32"}


T = TypeVar("T")


class _Page:
    """Wrapped, indented lines with colours where they were asked for. All added text is cleaned here."""

    def __init__(self, *, colour: bool, width: int, everything: bool) -> None:
        self.lines: list[str] = []
        self.everything = everything
        self._colour = colour
        self.width = max(40, width)

    def add(self, text: str, *, indent: int = 0, bullet: str = "", hang: int = 0, style: str = "") -> None:
        pad = " " * indent
        wrapped = textwrap.wrap(
            clean(text, 2000),
            self.width,
            initial_indent=pad + bullet,
            subsequent_indent=pad + " " * (hang + len(bullet)),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.lines += [self.paint(line, style) for line in wrapped]

    def raw(self, line: str) -> None:
        """Adds a line whose spacing matters. Its parts are already clean."""
        self.lines.append(line.rstrip())

    def apart(self, text: str) -> None:
        """Adds a separate paragraph, if there is any text."""
        if text:
            self.raw("")
            self.add(text)

    def head(self, text: str) -> None:
        self.lines += ["", self.paint(clean(text), "head")]

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self._colour and style else text

    def cut(self, items: Sequence[T], most: int | None) -> tuple[Sequence[T], int]:
        """The items to show, and the number of those left out."""
        shown = items if self.everything or most is None else items[:most]
        return shown, len(items) - len(shown)


def render(
    report: Report | View,
    *,
    everything: bool = False,
    colour: bool = False,
    width: int = 100,
    most: int = MAX_INCIDENTS,
    closing: str = "",
) -> str:
    """The report as plain text, or with SGR colours.

    `everything`: also show the sections that are details. Otherwise show at most `most` incidents. `closing`: a line at
    the end."""
    view = view_of(report) if isinstance(report, Report) else report
    page = _Page(colour=colour, width=width, everything=everything)
    page.add(view.banner, style=view.tone)
    page.add(view.reserve, style="warn")
    if everything:
        page.add(view.outlook, style="dim")
    incidents = [section for section in view.sections if section.code and (everything or not section.detail)]
    shown = incidents if everything else incidents[:most]
    for place, section in enumerate(shown, 1):
        _incident(page, section, place)
    if len(incidents) > len(shown):
        page.head(f"{plural(len(incidents) - len(shown), 'more incident')} with --all")
    for section in view.sections:
        if not section.code:
            _section(page, section)
    page.apart(closing)
    return "\n".join(page.lines) + "\n"


def _incident(page: _Page, section: Section, place: int) -> None:
    word, name = page.paint(clean(section.title), section.tone), f"{section.code} {section.name}".rstrip()
    page.raw("")
    page.raw(f"{place}. {word}  {page.paint(clean(name), 'head')}  {clean(section.extent)}")
    for part in section.parts:
        _part(page, part, indent=3)


def _section(page: _Page, section: Section) -> None:
    if section.wide or (section.detail and not page.everything):
        page.apart("" if page.everything else section.brief)
        return
    page.head(section.title)
    for part in section.parts:
        _part(page, part, indent=2)


def _part(page: _Page, part: Part, *, indent: int) -> None:
    match part:
        case Paragraph():
            text = part.text if page.everything else part.short or part.text
            page.add(text, indent=indent, hang=2 if part.short else 0, style="dim" if part.soft else "")
        case Bullets():
            _bullets(page, part, indent)
        case Table():
            _table(page, part, indent)
        case Curve():
            _curve(page, part)
        case Commands():
            for line in part.lines:
                if not (page.everything and line.endswith(" --all")):
                    page.raw(f"  {clean(line, 1200)}")
        case Facts():
            wide = max((len(name) for name, _ in part.pairs), default=0)
            for name, value in part.pairs:
                page.add(f"{name.ljust(wide)}  {value}", indent=indent, hang=wide + 2)
        case Points():
            page.add(part.brief, indent=indent)
        case Charts():
            pass  # too many curves for a terminal


def _bullets(page: _Page, part: Bullets, indent: int) -> None:
    if part.title:
        page.add(part.title, indent=indent, style="dim")
    inner = indent + 2 if part.title else indent
    shown, left = page.cut(part.items, part.most)
    for place, item in enumerate(shown, 1):
        if part.plain:
            page.add(item.strip(), indent=inner + len(item) - len(item.lstrip()), hang=2)
        else:
            page.add(item, indent=inner, bullet=f"{place}. " if part.ranked else "- ")
    if left:
        page.add(f"and {plural(left, 'more line')} with --all", indent=inner, style="dim")


def _table(page: _Page, table: Table, indent: int) -> None:
    if table.title:
        page.add(table.title, indent=indent, style="dim")
    inner = indent + 2 if table.title else indent
    shown, left = page.cut(table.lines, table.most)
    for line in shown:
        page.add(line, indent=inner, bullet="" if table.folded else "- ", hang=2 if table.folded else 0)
    if left:
        page.add(f"and {left} more with --all", indent=inner, style="dim")
    if not table.lines:
        rows, left = page.cut(table.rows, table.most)
        cells = [[plain(cell) for cell in row] for row in rows]
        lines = _trimmed(table.heads, cells, page.width - inner) if table.trimmed else align_columns(table.heads, cells)
        for line in lines:
            page.raw(" " * inner + line)
        if left:
            page.add(f"and {left:,} more with --all", indent=inner, style="dim")
    page.add(table.note, indent=inner)


def plain(cell: str) -> str:
    """A cell without the marks of code, cut to a length that a line may have."""
    return clean(cell, 160).replace("`", "")


def _trimmed(heads: Sequence[str], rows: Sequence[list[str]], width: int) -> list[str]:
    """The table in lines that fit: the first cells lose their middle, the last ones their end, unless too little of
    them would be left."""
    short = [[_shortened(row[0]), *row[1:]] for row in rows]
    made = align_columns(heads, short)
    before = len(made[0]) - len(heads[-1])
    most = max(width, before + LEAST_TEXT)
    return [line if len(line) <= most else line[: most - 3].rstrip() + "..." for line in made]


def _shortened(name: str) -> str:
    """The name without its middle where it is long: names of runs differ at either end."""
    return name if len(name) <= NAME else f"{name[: NAME // 2 - 2]}...{name[-(NAME // 2 - 1) :]}"


def _curve(page: _Page, curve: Curve) -> None:
    band = curve.bands[0] if curve.bands else None
    series = Series(step=list(curve.step), value=list(curve.value), gaps=list(curve.gaps), rows=len(curve.step))
    name = clean(curve.name, 32)
    room = page.width - len(name) - 5
    mark = (band.first, band.last) if band else None
    blocks, under = sparkline(series, mark, max(20, min(60, room - SPREAD)))
    values = [v for v in curve.value if v is not None]
    spread = f"{number(min(values))} to {number(max(values))}" if values else "never finite"
    page.raw(f"   {page.paint(name, 'dim')}  {blocks}  {spread}")
    if band is not None:
        under = page.paint(under, band.kind) + " " * (len(blocks) - len(under))
        extent = band.label.rpartition(", ")[2]
        page.raw(f"   {' ' * len(name)}  {under}  {page.paint(clean(extent), 'dim')}")
    if curve.logged_as:
        page.add(f"logged as {clean(curve.logged_as, 100)}", indent=3, style="dim")


renderers.register("terminal", render)
