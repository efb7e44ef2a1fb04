"""How a report on rewards looks: the checks in a table, what was found, and the plots."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.cards import words
from rldk.cards.chart import number
from rldk.cards.words import plural
from rldk.core.model import Finding
from rldk.core.view import Bullets, Charts, Facts, Paragraph, Part, Problem, Section, Table, Tone, View
from rldk.reward.facts import HealthCheck, RewardHealthFacts
from rldk.reward.plots import plots
from rldk.reward.verdict import MEASURES, WORDS

STATES = {"pass": "passes", "warn": "WARNS", "fail": "FAILS", "not_available": "not available"}
TONES: dict[str, Tone] = {"pass": "ok", "warn": "warn", "fail": "critical", "not_available": ""}
BADGES: dict[Tone, str] = {"critical": "FAILS", "warn": "WARNING", "ok": "PASSES", "info": "NOT JUDGED"}
MOST_SHORTCUTS = 12
COLUMN_WORDS = {"n_tokens": "length", "chosen_score": "score of the chosen", "rejected_score": "score of the rejected"}


def health_view(report: RewardHealthFacts) -> View:
    """The view of the report."""
    states = {check.status for name, check in report.checks.items() if name != "missing_rewards" or _loud(check)}
    tone: Tone = (
        "critical" if "fail" in states else "warn" if "warn" in states else "ok" if "pass" in states else "info"
    )
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "rewards"),
        tone=tone,
        badge=BADGES[tone],
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(problem_of(f, str(report.meta.get("source") or "")) for f in report.findings),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped if check.status == "skipped"},
        figures=dict(report.numbers),
    )


def _loud(check: HealthCheck) -> bool:
    return check.status in ("warn", "fail")


def _sections(report: RewardHealthFacts) -> Iterator[Section]:
    yield from (finding_section(f) for f in report.findings)
    yield Section(title="Checks", parts=(_checks(report),))
    if lacking := [check for check in report.checks.values() if check.status == "not_available" and check.selected]:
        items = tuple(f"{WORDS[check.name]}: {check.reason}" for check in lacking)
        yield Section(title="What further checks need", parts=(Bullets(items=items, plain=True),))
    if drawn := tuple(plots(report)):
        yield Section(title="Plots", parts=(Charts(points=drawn),), wide=True)
    yield from _shortcuts(report)
    if report.notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=tuple(note.text for note in report.notes)),))
    yield Section(title="Looked at", parts=(Facts(pairs=tuple(_looked(report))),))


def finding_section(f: Finding) -> Section:
    """The section of a finding of a check that warns or fails."""
    failing = f.evidence.get("status") == "fail"
    parts: list[Part] = [Paragraph(text=words.sentence(f.message))]
    if f.causes:
        parts.append(Bullets(title="Likely causes", items=f.causes, ranked=True))
    if f.fixes:
        parts.append(Bullets(title="What to try", items=f.fixes))
    tone: Tone = "critical" if failing else "warn" if f.severity != "info" else "info"
    title = "FAILS" if failing else "WARNING" if f.severity != "info" else "NOTE"
    return Section(title=title, tone=tone, code=f.code, name=f.name, parts=tuple(parts))


def _checks(report: RewardHealthFacts) -> Table:
    asked = [check for check in report.checks.values() if check.selected]
    rows = tuple(map(_row, asked))
    lines = tuple(_line(check) for check in asked if check.status != "not_available")
    return Table(
        heads=("Check", "Outcome", "Measure", "Value", "95 %", "Limit", "Cases"),
        rows=rows,
        tones=tuple(TONES[check.status] for check in asked),
        lines=lines,
    )


def _row(check: HealthCheck) -> tuple[str, ...]:
    between = f"{number(check.low)} to {number(check.high)}" if check.low is not None else "-"
    count = f"{check.n:,}" if check.n else "-"
    measure = MEASURES[check.name] if check.value is not None else "-"
    return WORDS[check.name], STATES[check.status], measure, number(check.value), between, number(check.limit), count


def _line(check: HealthCheck) -> str:
    said = f"{WORDS[check.name]} {STATES[check.status]}"
    if check.value is None:
        return said
    between = f", {number(check.low)} to {number(check.high)}" if check.low is not None else ""
    limit = f"; limit {number(check.limit)}" if check.limit is not None else ""
    cases = f"; {plural(check.n, 'case')}" if check.n else ""
    return f"{said}: {MEASURES[check.name]} {number(check.value)}{between}{limit}{cases}"


def _shortcuts(report: RewardHealthFacts) -> Iterator[Section]:
    """What the reward goes with, the strongest first."""
    every = [(kind, one) for kind, found in report.shortcut_analysis.items() for one in found]
    ranked = sorted(every, key=lambda pair: -abs(pair[1].coupling.rho))[:MOST_SHORTCUTS]
    if not ranked:
        return
    rows = tuple(
        (kind, f"`{one.feature}`", f"{one.coupling.rho:+.2f}", f"{one.coupling.low:+.2f} to {one.coupling.high:+.2f}",
         number(one.p))
        for kind, one in ranked
    )  # fmt: skip
    lines = tuple(f"{kind} {name}: {rho} ({between}), p {p}" for kind, name, rho, between, p in rows)
    heads = ("Kind", "Feature", "Correlation", "95 %", "p, adjusted")
    note = "Rank correlations with the reward among the answers to a prompt, with length and other features held fixed."
    table = Table(heads=heads, rows=rows, lines=lines, note=note, most=5)
    yield Section(title="What the reward goes with", parts=(table,), detail=True)


def _looked(report: RewardHealthFacts) -> Iterator[tuple[str, str]]:
    numbers = report.numbers
    for key, name in (("samples", "scored answers"), ("rewards", "finite rewards"), ("prompts", "prompts"),
                      ("pairs", "pairs"), ("rejected", "rows left out")):  # fmt: skip
        value = numbers.get(key)
        if value:
            yield name, f"{value:,}"
    if numbers.get("reward_mean") is not None:
        yield "mean and spread", f"{number(numbers['reward_mean'])}, {number(numbers['reward_std'])}"
    columns = report.meta.get("columns") or {}
    said = ", ".join(f"{COLUMN_WORDS.get(f, f.replace('_', ' '))}: `{c}`" for f, c in columns.items())
    if said:
        yield "columns", said


def problem_of(f: Finding, source: str) -> Problem:
    """What may fail a gate: a check that fails is critical here, whatever the severity of its rule."""
    return Problem(
        code=f.code,
        name=f.name,
        severity="critical" if f.evidence.get("status") == "fail" else f.severity,
        message=f.message,
        source=source,
        metric=f.metric,
        value=f.value,
        limit=f.limit,
        causes=f.causes,
        fixes=f.fixes,
    )
