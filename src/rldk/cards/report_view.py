"""The view of a diagnosis: incidents, every finding, what was not known or not checked, and the source."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from importlib import import_module
from math import isclose

from rldk.cards import words
from rldk.cards.chart import number
from rldk.cards.parts import problem_of
from rldk.cards.safe import clean
from rldk.cards.series import Series, report_series
from rldk.core.model import Finding, Incident, Report
from rldk.core.view import (
    Band,
    Bullets,
    Charts,
    Commands,
    Curve,
    Limit,
    Paragraph,
    Part,
    Problem,
    Section,
    Table,
    View,
    tone_of,
)
from rldk.engine.report.verdict import headline_of

MAX_SOURCE = 8  # lines about the source, unless everything is asked for
MAX_FOLLOWERS = 4  # findings that came with an incident, unless everything is asked for
MAX_BANDS = 40  # of one metric in one chart; more would make one grey wall
KINDS = {  # the module and function that make the view of a kind of report; the others are verdicts on a log
    "env_audit": ("rldk.cards.env_audit", "view_of_env_audit"),
    "mismatch": ("rldk.cards.mismatch", "mismatch_view"),
    "preflight": ("rldk.cards.preflight", "view_of_preflight"),
}
HEADS = ("Severity", "Rule", "Steps", "What was seen", "Metric", "Value", "Limit")


def view_of(report: Report) -> View:
    """Everything that a renderer may show of the report. A kind of a higher layer brings its own view."""
    own = getattr(report, "view", None)
    if own is not None:
        made: View = own()
        return made
    if report.kind in KINDS:
        module, name = KINDS[report.kind]
        drawn: View = getattr(import_module(module), name)(report)
        return drawn
    headline = headline_of(report)
    source = str(report.meta.get("source") or "")
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or source or "report"),
        tone=tone_of(words.tone(headline)),
        badge=words.HEADLINE_WORDS[headline],
        banner=report.verdict,
        reserve=words.reservation(report),
        outlook=words.outlook_line(report),
        source=source,
        sections=tuple(_sections(report)),
        problems=tuple(_problem(finding, source) for finding in report.findings),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped if check.status == "skipped"},
        figures=dict(report.numbers),
    )


def failure_view(source: str, message: str, hint: str) -> View:
    """The view of a source that could not be read."""
    problem = Problem(
        code="unreadable", name="not-read", severity="critical", message=message, source=source, fixes=(hint,)
    )
    return View(
        kind="failure",
        title=source,
        tone="warn",
        badge="UNREADABLE",
        banner=words.sentence(message),
        source=source,
        sections=(Section(title="Next", parts=(Paragraph(text=hint),)),),
        problems=(problem,),
    )


def _sections(report: Report) -> Iterable[Section]:
    yield from (_incident(report, incident) for incident in report.incidents)
    if quiet := words.quiet(report.incidents):
        title = words.quiet_heading(report)
        codes = ", ".join(dict.fromkeys(code for incident in quiet for code in incident.codes))
        items = tuple(f"`{', '.join(i.codes)}` {i.title} ({words.steps(i.first_step, i.last_step)})" for i in quiet)
        yield Section(
            title=title, parts=(Bullets(items=items),), wide=True, brief=f"{title}: {codes} (details with --all)"
        )
    if curves := _key_metrics(report):
        yield Section(title="Key metrics", parts=(curves,), wide=True)
    if report.findings:
        yield Section(title=f"Every finding ({len(report.findings)})", parts=(table_of(report.findings),), detail=True)
    if line := words.health_line(report):
        yield Section(title="Health", parts=(Paragraph(text=line),), detail=True)
    if report.notes:
        items = tuple(note.text for note in report.notes)
        yield Section(title="Looks odd, and is normal here", parts=(Bullets(items=items),))
    yield from _unknown(report)
    yield from _unchecked(report)
    lines = tuple(words.source_lines(report))
    yield Section(title="Source", parts=(Bullets(items=lines, plain=True, most=MAX_SOURCE),))
    yield Section(title="Next", parts=(Commands(lines=tuple(_next(report))),))


def _unknown(report: Report) -> Iterable[Section]:
    if report.understanding is None or not (whole := words.unknown_lines(report, everything=True)):
        return
    short = words.unknown_lines(report)
    title = f"Not known to rldk ({words.plural(len(report.understanding.unknown), 'column')})"
    yield Section(title=title, parts=tuple(Paragraph(text=a, short=b) for a, b in zip(whole, short, strict=True)))


def _unchecked(report: Report) -> Iterable[Section]:
    skipped, foreign = words.unchecked_rules(report)
    kinds = (
        (f"Not checked, because data is missing ({words.plural(sum(map(len, skipped.values())), 'rule')})", skipped),
        ("Does not apply to this run", foreign),
    )
    brief = words.unchecked_line(report)
    for title, reasons in kinds:
        if reasons:
            rows = tuple((reason, ", ".join(codes)) for reason, codes in reasons.items())
            lines = tuple(f"{reason}: {codes}" for reason, codes in rows)
            count = words.plural(sum(map(len, reasons.values())), "rule")
            folded = f"{count} gave no verdict; that is not a pass"
            table = Table(heads=("Why", "Rules"), rows=rows, lines=lines, folded=folded)
            yield Section(title=title, parts=(table,), detail=True, brief=brief)
            brief = ""


def _incident(report: Report, incident: Incident) -> Section:
    first = words.lead(report, incident)
    parts: list[Part] = [Paragraph(text=words.sentence(incident.title))]
    if raised := words.severity_reason(report, incident):
        parts.append(Paragraph(text=f"({raised})", soft=True))
    if first is not None and (curve := _curve(report, first.metric, [first])) is not None:
        parts.append(curve)
    if incident.causes:
        parts.append(Bullets(title="Likely causes", items=incident.causes, ranked=True))
    if incident.fixes:
        parts.append(Bullets(title="What to try", items=incident.fixes))
    if after := words.followers(report, incident):
        parts.append(table_of(after, title="What came with it", most=MAX_FOLLOWERS))
    return Section(
        title=words.SEVERITY_WORDS[incident.severity],
        tone=incident.severity,
        code=first.code if first else incident.codes[0],
        name=first.name if first else "",
        extent=words.steps(incident.first_step, incident.last_step),
        parts=tuple(parts),
        detail=incident.severity == "info",
    )


def _key_metrics(report: Report) -> Charts | None:
    by_metric: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_metric.setdefault(finding.metric, []).append(finding)
    onset = [
        Band(first=i.first_step, last=i.first_step, kind="onset", label=f"step {i.first_step:,}: {i.title}")
        for i in words.loud(report.incidents)[:1]
        if i.first_step is not None
    ]
    made = (_curve(report, m, by_metric.get(m, []), marks=onset) for m in report_series(report.meta))
    curves = tuple(curve for curve in made if curve is not None)
    note = f"The thin upright line is step {onset[0].first:,}, where the first incident begins." if onset else ""
    return Charts(curves=curves, note=note) if curves else None


def _curve(report: Report, metric: str, findings: Sequence[Finding], *, marks: Sequence[Band] = ()) -> Curve | None:
    series = report_series(report.meta).get(metric)
    if series is None:
        return None
    bands = [
        Band(
            first=f.first_step,
            last=f.last_step,
            kind=f.severity,
            label=f"{f.code} {f.name}, {words.steps(f.first_step, f.last_step)}",
        )
        for f in findings[:MAX_BANDS]
        if f.first_step is not None and f.last_step is not None
    ]
    limits = {
        (f.limit, f.code): Limit(value=f.limit, label=f"{f.code} {number(f.limit)}")
        for f in findings
        if f.limit is not None and _on_curve(f, series)
    }
    first, last = (report.numbers.get(k) for k in ("first_step", "last_step"))
    own = str(report.meta.get("names", {}).get(metric, metric))
    return Curve(
        name=metric,
        step=series["step"],
        value=series["value"],
        gaps=series["gaps"],
        logged_as=own if own != metric else "",
        bands=(*bands, *marks),
        limits=tuple(limits.values())[:3],
        span=None if first is None or last is None else (int(first), int(last)),
    )


def _on_curve(finding: Finding, series: Series) -> bool:
    """Whether the finding is about the curve's own values. A limit on a share or a ratio has no place in the chart."""
    if finding.value is None:
        return False
    points = zip(series["step"], series["value"], strict=True)
    return any(s == finding.first_step and v is not None and isclose(v, finding.value, rel_tol=1e-3) for s, v in points)


def table_of(findings: Sequence[Finding], *, title: str = "", most: int | None = None) -> Table:
    """The findings, a row each."""
    return Table(
        title=title,
        heads=HEADS,
        rows=tuple(_cells(f) for f in findings),
        tones=tuple(f.severity for f in findings),
        lines=tuple(words.brief(f) if most else _whole(f) for f in findings),
        most=most,
    )


def _whole(f: Finding) -> str:
    limit = f", limit {number(f.limit)}" if f.limit is not None else ""
    return f"{words.brief(f)} [{f.metric} {number(f.value)}{limit}, tier {f.tier}]"


def _cells(f: Finding) -> tuple[str, ...]:
    where = words.steps(f.first_step, f.last_step)
    return words.SEVERITY_WORDS[f.severity], f"`{f.code}`", where, f.message, f.metric, number(f.value), number(f.limit)


def _problem(f: Finding, source: str) -> Problem:
    steps = None if f.first_step is None or f.last_step is None else (f.first_step, f.last_step)
    return problem_of(f, source, steps=steps)


def _next(report: Report) -> Iterable[str]:
    loud = words.loud(report.incidents)
    path = shlex.quote(clean(report.meta.get("source") or "PATH", 1000))
    yield from (f"rldk explain {loud[0].codes[0]}",) if loud else ()
    yield f"rldk doctor {path} --all"
    yield f"rldk doctor {path} --html report.html"
