"""A view as one HTML file. It has no script, loads nothing, and is readable in light and dark mode."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path

from rldk.cards.chart import line_chart
from rldk.cards.overview import anchor, overview, overview_view
from rldk.cards.report_view import view_of
from rldk.cards.safe import escape
from rldk.cards.series import Series
from rldk.core.model import Report
from rldk.core.registry import renderers
from rldk.core.text import later
from rldk.core.view import Bullets, Charts, Commands, Curve, Facts, Paragraph, Part, Points, Section, Table, View
from rldk.rules.page import HEADINGS
from rldk.rules.rule import rules

WIDE, SMALL = (1120, 200), (400, 150)
_CODE = later(r"`([^`]+)`")
INTERVAL = (110, 16)
SHORT = 24  # characters of a cell that is kept on one line


def render(report: Report | View, *, fragment: bool = False) -> str:
    """The report as a whole page, or as a fragment for a notebook."""
    view = view_of(report) if isinstance(report, Report) else report
    body = _body(view)
    if fragment:
        return f'<div class="rldk"><style>{_style()}</style>{body}</div>'
    return page([body], title=f"rldk: {view.title}", one_page=view.one_page)


def pages(reports: Sequence[Report], failures: Sequence[tuple[str, str]] = ()) -> str:
    """Several reports in one page, with an index above them. `failures` are those of `overview`."""
    if len(reports) == 1 and not failures:
        return render(reports[0])
    lines = overview(reports, failures)
    bodies = [f'<a id="{anchor(place)}"></a>{_body(view_of(report))}' for place, report in enumerate(reports)]
    return page([_body(overview_view(lines)), *bodies], title=f"rldk: {len(lines)} runs")


def page(bodies: Iterable[str], *, title: str, one_page: bool = False) -> str:
    """A complete document around escaped bodies. Its policy allows this one style sheet and nothing else.

    `one_page`: it is to be printed on one sheet."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><style>{_style()}</style></head><body class="rldk-page">'
        + "".join(f'<main class="rldk{" sheet" if one_page else ""}">{body}</main>' for body in bodies)
        + "</body></html>\n"
    )


@cache
def _style() -> str:
    return (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def _body(view: View) -> str:
    incidents = "".join(_incident(section) for section in view.sections if section.code and not section.detail)
    return "".join(
        [
            _banner(view),
            _titled("Incidents", incidents, level=2),
            *(_titled(s.title, _parts(s), level=2) for s in view.sections if not s.code and not _typed(s)),
        ]
    )


def _typed(section: Section) -> bool:
    """Whether the section says what to type next, which does not belong on a page."""
    return all(isinstance(part, Commands) for part in section.parts)


def _titled(title: str, content: str, *, level: int) -> str:
    if not content:
        return ""
    tag = "section" if level == 2 else "div"
    return f"<{tag}><h{level}>{escape(title)}</h{level}>{content}</{tag}>"


def _banner(view: View) -> str:
    reserve = f"<p>{_prose(view.reserve)}</p>" if view.reserve else ""
    return (
        f'<header><h1>rldk &middot; <span class="mono">{escape(view.source or view.title)}</span></h1>'
        f'<div class="banner {view.tone}"><span class="badge">{escape(view.badge)}</span>'
        f"<p>{_prose(view.banner)}</p>{reserve}</div></header>"
    )


def _incident(section: Section) -> str:
    advice = [part for part in section.parts if isinstance(part, Bullets)]
    before = [part for part in section.parts if isinstance(part, Paragraph | Curve)]
    after = [part for part in section.parts if part not in advice and part not in before]
    name = f"<code>{escape(section.code)}</code> {escape(section.name)}"
    return (
        f'<article class="incident {section.tone}"><h3><span class="badge">{escape(section.title)}</span> {name} '
        f'<span class="soft">{escape(section.extent)}</span></h3>{_all(before)}'
        f'<div class="advice">{_all(advice)}</div>{_all(after)}{_background(section.code)}</article>'
    )


def _background(code: str) -> str:
    """The page of the rule, folded: a reader of the report may not have `rldk explain`."""
    if code not in rules:
        return ""
    sections = rules.get(code).page.sections
    told = "".join(
        f"<h4>{heading}</h4><p>{_prose(sections[heading])}</p>" for heading in HEADINGS if heading in sections
    )
    return f"<details><summary>About {escape(code)}: why it matters, when it is wrong</summary>{told}</details>"


def _parts(section: Section) -> str:
    return _all(section.parts)


def _all(parts: Iterable[Part]) -> str:
    return "".join(map(_part, parts))


def _part(part: Part) -> str:
    match part:
        case Paragraph():
            return f'<p class="soft">{_prose(part.text)}</p>' if part.soft else f"<p>{_prose(part.text)}</p>"
        case Bullets():
            items = _bullets(map(_prose, part.items), tag="ol" if part.ranked else "ul")
            return _titled(part.title, items, level=4) if part.title else items
        case Table():
            return _titled(part.title, _table(part), level=4) if part.title else _table(part)
        case Curve():
            return _figure(part, WIDE)
        case Charts():
            drawn = "".join([*(_figure(curve, SMALL) for curve in part.curves), *map(_points, part.points)])
            note = f'<p class="soft">{_prose(part.note)}</p>' if part.note else ""
            return f'{note}<div class="charts">{drawn}</div>' if drawn else ""
        case Points():
            drawn = _points(part)
            return f'<div class="charts">{drawn}</div>' if drawn else ""
        case Facts():
            rows = "".join(f"<tr><td>{escape(name)}</td><td>{_prose(value)}</td></tr>" for name, value in part.pairs)
            return f"<table><tbody>{rows}</tbody></table>"
        case Commands():
            return f"<pre>{escape(chr(10).join(part.lines), 4000)}</pre>"


def _points(part: Points) -> str:
    from rldk.cards.points import points_chart

    drawn = points_chart(part)
    return f"<figure><figcaption>{_prose(part.name)}</figcaption>{drawn}</figure>" if drawn else ""


def _table(table: Table) -> str:
    tones = table.tones or ("",) * len(table.rows)
    drawn = [_interval(share) for share in table.shares]
    rows = "".join(
        f"<tr{f' class={chr(34)}{tone}{chr(34)}' if tone else ''}>"
        + "".join(
            _cell(head, cell, link if not place else "", tone)
            for place, (head, cell) in enumerate(zip(table.heads, row, strict=True))
        )
        + (f"<td>{picture}</td>" if drawn else "")
        + "</tr>"
        for row, tone, picture, link in zip_longest(table.rows, tones, drawn, table.links, fillvalue="")
    )
    heads = "".join(f"<th>{escape(head)}</th>" for head in table.heads) + ("<th></th>" if drawn else "")
    grid = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    note = f'<p class="soft">{escape(table.note, 4000)}</p>' if table.note else ""
    return f"<details><summary>{escape(table.folded)}</summary>{grid}{note}</details>" if table.folded else grid + note


def _cell(head: str, cell: str, link: str, tone: str) -> str:
    if link:
        return f'<td><a href="#{escape(link)}">{_prose(cell)}</a></td>'
    if head in ("Severity", "Verdict") or (head == "Outcome" and tone):
        return f'<td class="nowrap"><span class="badge">{escape(cell)}</span></td>'
    return f"<td>{_prose(cell)}</td>" if len(cell) > SHORT else f'<td class="nowrap">{_prose(cell)}</td>'


def _interval(share: tuple[float, float, float] | None) -> str:
    """Draws an interval as a line from 0 to 1 with the share as a dot."""
    if share is None:
        return ""
    wide, high = INTERVAL
    low, dot, top = (round(4 + x * (wide - 8), 1) for x in share)
    middle = high / 2
    return (
        f'<svg class="interval" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" role="img" '
        f'aria-label="{share[1]:.0%}, from {share[0]:.0%} to {share[2]:.0%}">'
        f'<path class="grid" d="M4 {middle}H{wide - 4}"/><path class="line" d="M{low} {middle}H{top}"/>'
        f'<circle class="dot" cx="{dot}" cy="{middle}" r="3.5"/></svg>'
    )


def _figure(curve: Curve, size: tuple[int, int]) -> str:
    series = Series(step=list(curve.step), value=list(curve.value), gaps=list(curve.gaps), rows=len(curve.step))
    chart = line_chart(
        series,
        curve.name,
        bands=curve.bands,
        limits=curve.limits,
        size=size,
        span=curve.span,
        beside=curve.beside,
        axis=curve.axis,
        log=curve.log,
    )
    logged = (
        f' <span class="soft">logged as <span class="mono">{escape(curve.logged_as)}</span></span>'
        if curve.logged_as
        else ""
    )
    codes = ", ".join(dict.fromkeys(band.label.split(" ")[0] for band in curve.bands if band.kind != "onset"))
    marked = f' <span class="soft">&middot; shaded: {escape(codes)}</span>' if codes else ""
    other = "".join(f" &middot; dashed: {escape(line.name)}" for line in curve.beside if line.kind == "other")
    other += " &middot; grey: its range" if any(line.kind == "low" for line in curve.beside) else ""
    beside = f' <span class="soft">{other.strip()}</span>' if other else ""
    name = f'<span class="mono">{escape(curve.name)}</span>'
    caption = f"{name}{logged}{marked}{beside}"
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def _prose(text: str) -> str:
    """Escaped text. Text between backticks is shown as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _bullets(items: Iterable[str], tag: str = "ul") -> str:
    made = "".join(f"<li>{item}</li>" for item in items)
    return f"<{tag}>{made}</{tag}>" if made else ""


renderers.register("html", render)
