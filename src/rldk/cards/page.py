"""A report as one HTML file: no script, nothing from elsewhere, readable in light and dark."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from math import isclose
from pathlib import Path

from rldk.cards import words
from rldk.cards.chart import Band, Limit, line_chart, number
from rldk.cards.overview import anchor, index, overview
from rldk.cards.safe import escape
from rldk.cards.series import Series, report_series
from rldk.core.model import Finding, Incident, Report
from rldk.core.registry import renderers
from rldk.engine.verdict import headline_of
from rldk.rules.rule import HEADINGS, rules

WIDE, SMALL = (1120, 200), (400, 150)
_CODE = re.compile(r"`([^`]+)`")
MAX_BANDS = 40  # of one metric in one chart; more than that is one grey wall


def render(report: Report, *, fragment: bool = False) -> str:
    """The report as a whole page, or as a fragment for a notebook."""
    body = _body(report)
    if fragment:
        return f'<div class="rldk"><style>{_style()}</style>{body}</div>'
    return page([body], title=f"rldk: {report.meta.get('run') or report.meta.get('source') or 'report'}")


def pages(reports: Sequence[Report], failures: Sequence[tuple[str, str]] = ()) -> str:
    """Several reports in one page, with an index above them; `failures` as of `overview`."""
    if len(reports) == 1 and not failures:
        return render(reports[0])
    lines = overview(reports, failures)
    bodies = [f'<a id="{anchor(place)}"></a>{_body(report)}' for place, report in enumerate(reports)]
    return page([index(lines), *bodies], title=f"rldk: {len(lines)} runs")


def page(bodies: Iterable[str], *, title: str) -> str:
    """A complete document around escaped bodies. Its policy allows this one style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><style>{_style()}</style></head><body class="rldk-page">'
        + "".join(f'<main class="rldk">{body}</main>' for body in bodies)
        + "</body></html>\n"
    )


@cache
def _style() -> str:
    return (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def _body(report: Report) -> str:
    return "".join(
        [
            _banner(report),
            _section("Incidents", "".join(_incident(report, i) for i in words.loud(report.incidents))),
            _section(words.also_seen(report), _quiet(report)),
            _section(
                "Looks odd, and is normal here",
                _bullets([f"{_prose(n.text)} <code>{escape(n.topic)}</code>" for n in report.notes]),
            ),
            _section("Key metrics", _multiples(report)),
            _section("Every finding", _table_of_findings(report.findings)),
            _section(
                "Columns that rldk does not know", _bullets(map(escape, words.unknown_lines(report, everything=True)))
            ),
            _section("Not checked", _unchecked(report)),
            _section("Source", _bullets([escape(line) for line in words.source_lines(report)])),
        ]
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _banner(report: Report) -> str:
    headline = headline_of(report)
    reserved = words.reservation(report)
    more = f"<p>{_prose(reserved)}</p>" if reserved else ""
    return (
        f'<header><h1>rldk &middot; <span class="mono">{escape(report.meta.get("source", ""))}</span></h1>'
        f'<div class="banner {words.tone(headline)}"><span class="badge">{words.HEADLINE_WORDS[headline]}</span>'
        f"<p>{_prose(report.verdict)}</p>{more}</div></header>"
    )


def _incident(report: Report, incident: Incident) -> str:
    first = words.lead(report, incident)
    after = words.followers(report, incident)
    name = f"<code>{escape(first.code)}</code> {escape(first.name)}" if first else escape(", ".join(incident.codes))
    parts = [
        f'<article class="incident {incident.severity}"><h3>{_badge(incident.severity)} {name} '
        f'<span class="soft">{words.steps(incident.first_step, incident.last_step)}</span></h3>',
        f"<p>{_prose(words.sentence(incident.title))}</p>",
        f'<p class="soft">{escape(raised)}</p>' if (raised := words.raised_by(report, incident)) else "",
        _figure(report, first.metric, [first], size=WIDE) if first else "",
        '<div class="advice">',
        _titled("Likely causes", _bullets(map(_prose, incident.causes), tag="ol")),
        _titled("What to try", _bullets(map(_prose, incident.fixes))),
        "</div>",
        _titled("What came with it", _table_of_findings(after)),
        _background(first.code) if first else "",
        "</article>",
    ]
    return "".join(parts)


def _background(code: str) -> str:
    """The page of the rule, folded: the report may be read where there is no `rldk explain`."""
    if code not in rules:
        return ""
    sections = rules.get(code).page.sections
    told = "".join(
        f"<h4>{heading}</h4><p>{_prose(sections[heading])}</p>" for heading in HEADINGS if heading in sections
    )
    return f"<details><summary>About {escape(code)}: why it matters, when it is wrong</summary>{told}</details>"


def _titled(title: str, content: str) -> str:
    return f"<div><h4>{title}</h4>{content}</div>" if content else ""


def _badge(severity: str) -> str:
    return f'<span class="badge">{words.SEVERITY_WORDS[severity]}</span>'


def _quiet(report: Report) -> str:
    return _bullets(
        f"<code>{escape(', '.join(i.codes))}</code> {escape(i.title)} "
        f'<span class="soft">{words.steps(i.first_step, i.last_step)}</span>'
        for i in words.quiet(report.incidents)
    )


def _multiples(report: Report) -> str:
    by_metric: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_metric.setdefault(finding.metric, []).append(finding)
    onset = [
        Band(first=i.first_step, last=i.first_step, kind="onset", label=f"step {i.first_step:,}: {i.title}")
        for i in words.loud(report.incidents)[:1]
    ]
    drawn = "".join(
        _figure(report, m, by_metric.get(m, []), size=SMALL, marks=onset) for m in report_series(report.meta)
    )
    said = (
        f'<p class="soft">The thin upright line is step {onset[0].first:,}, where the first incident begins.</p>'
        if onset
        else ""
    )
    return f'{said}<div class="charts">{drawn}</div>' if drawn else ""


def _figure(
    report: Report, metric: str, findings: Sequence[Finding], *, size: tuple[int, int], marks: Sequence[Band] = ()
) -> str:
    series = report_series(report.meta).get(metric)
    if series is None:
        return ""
    bands = [
        Band(
            first=f.first_step,
            last=f.last_step,
            kind=f.severity,
            label=f"{f.code} {f.name}, {words.steps(f.first_step, f.last_step)}",
        )
        for f in findings[:MAX_BANDS]
    ]
    limits = {
        (f.limit, f.code): Limit(value=f.limit, label=f"{f.code} {number(f.limit)}")
        for f in findings
        if f.limit is not None and _on_curve(f, series)
    }
    first, last = (report.numbers.get(k) for k in ("first_step", "last_step"))
    chart = line_chart(
        series,
        metric,
        bands=[*bands, *marks],
        limits=list(limits.values())[:3],
        size=size,
        span=None if first is None or last is None else (int(first), int(last)),
    )
    own = report.meta.get("names", {}).get(metric, metric)
    logged = f' <span class="soft">logged as <span class="mono">{escape(own)}</span></span>' if own != metric else ""
    codes = ", ".join(dict.fromkeys(f.code for f in findings))
    marked = f' <span class="soft">&middot; shaded: {escape(codes)}</span>' if codes else ""
    return (
        f'<figure><figcaption><span class="mono">{escape(metric)}</span>{logged}{marked}</figcaption>{chart}</figure>'
    )


def _on_curve(finding: Finding, series: Series) -> bool:
    """Whether the finding speaks of the curve's own values: a limit on a share or a ratio has no place in the chart."""
    if finding.value is None:
        return False
    points = zip(series["step"], series["value"], strict=True)
    return any(s == finding.first_step and v is not None and isclose(v, finding.value, rel_tol=1e-3) for s, v in points)


def _table_of_findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = "".join(
        f'<tr class="{f.severity}">{_cell(_badge(f.severity))}{_cell(f"<code>{escape(f.code)}</code>")}'
        f"{_cell(words.steps(f.first_step, f.last_step))}<td>{_prose(f.message)}</td>"
        f'<td><span class="mono">{escape(f.metric)}</span></td>{_cell(number(f.value))}{_cell(number(f.limit))}</tr>'
        for f in findings
    )
    heads = "".join(f"<th>{h}</th>" for h in ("Severity", "Rule", "Steps", "What was seen", "Metric", "Value", "Limit"))
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _unchecked(report: Report) -> str:
    skipped, not_applicable = words.unchecked(report)
    rows = [(reason, codes) for reason, codes in skipped.items()]
    rows += [(f"does not apply: {reason}", codes) for reason, codes in not_applicable.items()]
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td>{escape(why)}</td><td><code>{escape(', '.join(c), 4000)}</code></td></tr>" for why, c in rows
    )
    summary = f"{words.plural(sum(len(c) for _, c in rows), 'rule')} gave no verdict; that is not a pass"
    table = f"<table><thead><tr><th>Why</th><th>Rules</th></tr></thead><tbody>{cells}</tbody></table>"
    return f'<details><summary>{summary}</summary><div class="scroll">{table}</div></details>'


def _cell(content: str) -> str:
    return f'<td class="nowrap">{content}</td>'


def _prose(text: str) -> str:
    """Escaped text, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _bullets(items: Iterable[str], tag: str = "ul") -> str:
    made = "".join(f"<li>{item}</li>" for item in items)
    return f"<{tag}>{made}</{tag}>" if made else ""


renderers.register("html", render)
