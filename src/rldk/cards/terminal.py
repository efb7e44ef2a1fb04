"""A report as text: the verdict first, then what to do about it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence

from rldk.cards import words
from rldk.cards.chart import number, sparkline
from rldk.cards.safe import clean
from rldk.cards.series import report_series
from rldk.core.model import Finding, Incident, Report
from rldk.core.registry import renderers
from rldk.engine.verdict import headline_of

MAX_INCIDENTS = 5
MAX_SOURCE = 8
SPREAD = 24  # columns kept right of a sparkline for its range of values or steps
STYLES = {"critical": "1;31", "warn": "1;33", "info": "36", "head": "1", "dim": "2", "ok": "1;32"}


class _Page:
    """Wrapped, indented lines; styled where colour was asked for. Everything added is cleaned here."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self.lines: list[str] = []
        self._colour = colour
        self.width = max(40, width)

    def add(self, text: str, *, indent: int = 0, bullet: str = "", hang: int = 0, style: str = "") -> None:
        pad = " " * indent
        body = clean(text, 2000)
        wrapped = textwrap.wrap(
            body,
            self.width,
            initial_indent=pad + bullet,
            subsequent_indent=pad + " " * (hang + len(bullet)),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.lines += [self.styled(line, style) for line in wrapped]

    def raw(self, line: str) -> None:
        """A line whose spacing matters; its parts are already clean."""
        self.lines.append(line.rstrip())

    def head(self, text: str) -> None:
        self.lines += ["", self.styled(clean(text), "head")]

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self._colour and style else text


def render(
    report: Report,
    *,
    everything: bool = False,
    colour: bool = False,
    width: int = 100,
    most: int = MAX_INCIDENTS,
    closing: str = "",
) -> str:
    """The report as plain text, or with SGR colours.

    `everything`: every finding and every rule that was not checked; otherwise at most `most` incidents. `closing`: a
    line at the end."""
    page = _Page(colour=colour, width=width)
    page.add(report.verdict, style=words.tone(headline_of(report)))
    page.add(words.reservation(report), style="warn")
    if everything and (line := words.outlook_line(report)):
        page.add(line, style="dim")
    loud = words.loud(report.incidents)
    shown = list(report.incidents) if everything else loud[:most]
    for place, incident in enumerate(shown, 1):
        _incident(page, report, incident, place)
    if not everything:
        _left(page, report, loud[most:])
    if everything and report.findings:
        _all_findings(page, report.findings)
    if everything and words.health_line(report):
        page.raw("")
        page.add(words.health_line(report))
    if report.notes:
        page.head("Looks odd, and is normal here")
        for note in report.notes:
            page.add(note.text, indent=2, bullet="- ")
    _unknown(page, report, everything=everything)
    if everything:
        _unchecked(page, report)
    elif line := words.unchecked_line(report):
        page.raw("")
        page.add(line)
    _source(page, report, everything=everything)
    _next(page, report, everything=everything)
    if closing:
        page.raw("")
        page.add(closing)
    return "\n".join(page.lines) + "\n"


def _incident(page: _Page, report: Report, incident: Incident, place: int) -> None:
    first = words.lead(report, incident)
    word = words.SEVERITY_WORDS[incident.severity]
    code = f"{first.code} {first.name}" if first else " ".join(incident.codes[:1])
    extent = words.steps(incident.first_step, incident.last_step)
    page.raw("")
    page.raw(f"{place}. {page.styled(word, incident.severity)}  {page.styled(clean(code), 'head')}  {extent}")
    page.add(words.sentence(incident.title), indent=3)
    if raised := words.raised_by(report, incident):
        page.add(f"({raised})", indent=3, style="dim")
    if first is not None:
        _spark(page, report, first)
    _list(page, "Likely causes", incident.causes, numbered=True)
    _list(page, "What to try", incident.fixes)
    after = words.followers(report, incident)
    _list(page, "What came with it", [_brief(f) for f in after[:4]])
    if len(after) > 4:
        page.add(f"and {len(after) - 4} more with --all", indent=5, style="dim")


def _spark(page: _Page, report: Report, finding: Finding) -> None:
    series = report_series(report.meta).get(finding.metric)
    if series is None:
        return
    name = clean(finding.metric, 32)
    room = page.width - len(name) - 5
    blocks, under = sparkline(series, (finding.first_step, finding.last_step), max(20, min(60, room - SPREAD)))
    values = [v for v in series["value"] if v is not None]
    spread = f"{number(min(values))} to {number(max(values))}" if values else "never finite"
    page.raw(f"   {page.styled(name, 'dim')}  {blocks}  {spread}")
    under = page.styled(under, finding.severity) + " " * (len(blocks) - len(under))
    extent = words.steps(finding.first_step, finding.last_step)
    page.raw(f"   {' ' * len(name)}  {under}  {page.styled(extent, 'dim')}")
    if finding.evidence.get("logged_as"):
        page.add(f"logged as {clean(finding.evidence['logged_as'], 100)}", indent=3, style="dim")


def _list(page: _Page, title: str, items: Iterable[str], *, numbered: bool = False) -> None:
    items = list(items)
    if items:
        page.add(title, indent=3, style="dim")
    for place, item in enumerate(items, 1):
        page.add(item, indent=5, bullet=f"{place}. " if numbered else "- ")


def _brief(f: Finding) -> str:
    kind = f"{words.SEVERITY_WORDS[f.severity].lower()}, {words.steps(f.first_step, f.last_step)}"
    return f"{f.code} {f.name} ({kind}): {f.message}"


def _left(page: _Page, report: Report, loud: Sequence[Incident]) -> None:
    if loud:
        page.head(f"{words.plural(len(loud), 'more incident')} with --all")
    if quiet := words.quiet(report.incidents):
        codes = ", ".join(dict.fromkeys(c for i in quiet for c in i.codes))
        page.raw("")
        page.add(f"{words.also_seen(report)}: {codes} (details with --all)")


def _all_findings(page: _Page, findings: Sequence[Finding]) -> None:
    page.head(f"Every finding ({len(findings)})")
    for f in findings:
        limit = f", limit {number(f.limit)}" if f.limit is not None else ""
        page.add(f"{_brief(f)} [{f.metric} {number(f.value)}{limit}, tier {f.tier}]", indent=2, bullet="- ")


def _unknown(page: _Page, report: Report, *, everything: bool) -> None:
    lines = words.unknown_lines(report, everything=everything)
    if report.understanding is not None and lines:
        page.head(f"Not known to rldk ({words.plural(len(report.understanding.unknown), 'column')})")
        for line in lines:
            page.add(line, indent=2, hang=2)


def _unchecked(page: _Page, report: Report) -> None:
    skipped, not_applicable = words.unchecked(report)
    count = sum(map(len, skipped.values()))
    for title, reasons in (
        (f"Not checked, for want of data ({words.plural(count, 'rule')})", skipped),
        ("Does not apply to this run", not_applicable),
    ):
        if reasons:
            page.head(title)
        for reason, codes in reasons.items():
            page.add(f"{reason}: {', '.join(codes)}", indent=2, hang=2)


def _source(page: _Page, report: Report, *, everything: bool) -> None:
    page.head("Source")
    source = words.source_lines(report)
    for line in source if everything else source[:MAX_SOURCE]:
        page.add(line.strip(), indent=2 + len(line) - len(line.lstrip()), hang=2)
    if not everything and len(source) > MAX_SOURCE:
        page.add(f"and {words.plural(len(source) - MAX_SOURCE, 'more line')} with --all", indent=2, style="dim")


def _next(page: _Page, report: Report, *, everything: bool) -> None:
    path = shlex.quote(clean(report.meta.get("source", "PATH"), 1000))
    loud = words.loud(report.incidents)
    commands = [f"rldk explain {loud[0].codes[0]}"] if loud else []
    commands += [] if everything else [f"rldk doctor {path} --all"]
    commands.append(f"rldk doctor {path} --html report.html")
    page.head("Next")
    for command in commands:
        page.raw(f"  {clean(command, 1200)}")


renderers.register("terminal", render)
