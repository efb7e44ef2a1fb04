"""Rule files for people: what a file holds, and what it would have done on a finished log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from rldk.cards import words
from rldk.cards.chart import line_chart, number
from rldk.cards.columns import align_columns
from rldk.cards.page import page
from rldk.cards.safe import clean, escape
from rldk.cards.series import report_series
from rldk.core.model import Finding, Report
from rldk.core.view import Band, Limit
from rldk.rules.files.load import RuleFile

SIZE = (1120, 200)
MAX_REASONS = 6  # reasons why rules were not checked, in the short form
MAX_BANDS = 40  # bands in one chart
HEADS = ("rule", "severity", "fires", "first step", "rows", "actions", "what")


class Trial(Struct, frozen=True, kw_only=True):
    """What one rule did on a log. `fires`: its findings. `rows`: rows on which it fired.

    `what`: its first message, or why there is no verdict, or "quiet"."""

    code: str
    severity: str
    fires: int
    first_step: int | None
    rows: int
    actions: tuple[str, ...]
    what: str
    checked: bool


def trials(file: RuleFile, report: Report) -> list[Trial]:
    """One line for each rule: first those that fired, by their first step, then the others in the order of the file."""
    skipped = {check.code: check.reason for check in report.skipped}
    made = []
    for rule in file.rules:
        found = [f for f in report.findings if f.code == rule.code]
        made.append(
            Trial(
                code=rule.code,
                severity=_loudest(found) or rule.severity,
                fires=len(found),
                first_step=min((f.first_step for f in found if f.first_step is not None), default=None),
                rows=sum(f.rows for f in found),
                actions=tuple(a.kind for a in file.actions.get(rule.code, ())),
                what=found[0].message if found else skipped.get(rule.code, "quiet"),
                checked=rule.code not in skipped,
            )
        )
    return sorted(made, key=lambda t: (t.first_step is None, t.first_step or 0))


def trial_text(file: RuleFile, report: Report, *, everything: bool = False) -> str:
    """The table of what fired and of what was not checked. `everything`: include every rule."""
    lines = trials(file, report)
    fired = [t for t in lines if t.fires]
    quiet = sum(1 for t in lines if t.checked and not t.fires)
    shown = lines if everything else fired
    table = align_columns(HEADS, [_cells(t) for t in shown]) if shown else []
    said = f"{words.plural(len(fired), 'rule')} of {len(lines)} fired, {quiet} stayed quiet"
    unchecked = words.unchecked_rules(report)
    reasons = [
        clean(f"not checked: {', '.join(codes)}: {reason}", 400)
        for group in unchecked
        for reason, codes in group.items()
    ]
    more = len(reasons) - MAX_REASONS
    ends = [
        *reasons[:MAX_REASONS],
        *([f"not checked for {words.plural(more, 'more reason')}: --all"] if more > 0 else []),
    ]
    ends = [] if everything else ends
    rows = int(report.numbers.get("rows") or 0)
    head = f"{clean(file.name)} on {clean(report.meta.get('source', ''))}: {said} in {words.plural(rows, 'row')}."
    return "\n".join([head, *(["", *table] if table else []), *(["", *ends] if ends else [])]) + "\n"


def trial_page(file: RuleFile, report: Report) -> str:
    """The same as an HTML page, with the curve of every metric on which a rule fired."""
    head = (
        f'<header><h1>rldk &middot; <span class="mono">{escape(file.name)}</span> on '
        f'<span class="mono">{escape(report.meta.get("source", ""))}</span></h1></header>'
    )
    rows = "".join(
        f'<tr class="{escape(t.severity)}">' + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(t)) + "</tr>"
        for t in trials(file, report)
    )
    heads = "".join(f"<th>{h}</th>" for h in HEADS)
    table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    metrics = dict.fromkeys(f.metric for f in report.findings)
    charts = "".join(_chart(metric, [f for f in report.findings if f.metric == metric], report) for metric in metrics)
    body = f"{head}<section><h2>What each rule did</h2>{table}</section>"
    body += f"<section><h2>Where it fired</h2>{charts}</section>" if charts else ""
    return page([body], title=f"rldk: {file.name} on {report.meta.get('source', 'a log')}")


def file_text(file: RuleFile) -> str:
    """The rules of a file: id, severity, actions, and the metrics that each rule reads."""
    rows = [
        (r.code, r.severity, " ".join(a.kind for a in file.actions.get(r.code, ())) or "-", clean(r.page.what, 110))
        for r in file.rules
    ]
    head = [clean(f"{file.name}: {file.description}" if file.description else file.name), ""]
    table = align_columns(("rule", "severity", "actions", "what"), rows)
    return "\n".join([*head, *table, "", words.plural(len(rows), "rule")]) + "\n"


def presets_text(files: Iterable[RuleFile]) -> str:
    """One line for each preset."""
    rows = [(f.name, str(len(f.rules)), clean(f.description)) for f in files]
    return "\n".join(align_columns(("preset", "rules", "what"), rows)) + "\n"


def _loudest(found: Sequence[Finding]) -> str | None:
    return max((f.severity for f in found), key=("info", "warn", "critical").index, default=None)


def _cells(t: Trial) -> tuple[str, ...]:
    step = "-" if t.first_step is None else f"{t.first_step:,}"
    told = t.what if t.checked else f"not checked: {t.what}"
    return (t.code, t.severity, str(t.fires), step, str(t.rows), " ".join(t.actions) or "-", clean(told, 110))


def _chart(metric: str, findings: Sequence[Finding], report: Report) -> str:
    series = report_series(report.meta).get(metric)
    if series is None:
        return ""
    bands = [
        Band(first=f.first_step, last=f.last_step, kind=f.severity, label=f"{f.code}: {f.message}")
        for f in findings[:MAX_BANDS]
        if f.first_step is not None and f.last_step is not None
    ]
    limits = {
        (f.limit, f.code): Limit(value=f.limit, label=f"{f.code} {number(f.limit)}")
        for f in findings
        if f.limit is not None
    }
    chart = line_chart(series, metric, bands=bands, limits=list(limits.values())[:3], size=SIZE)
    codes = ", ".join(dict.fromkeys(f.code for f in findings))
    caption = f'<span class="mono">{escape(metric)}</span> <span class="soft">&middot; shaded: {escape(codes)}</span>'
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"
