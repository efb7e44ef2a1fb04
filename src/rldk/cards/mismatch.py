"""The view of a mismatch report: what sets sampler and trainer apart, the evidence, and what stays open."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rldk.cards.chart import number
from rldk.cards.parts import problem_of
from rldk.cards.safe import clean
from rldk.core.model import Finding, Report
from rldk.core.view import Bullets, Commands, Curve, Facts, Paragraph, Part, Section, Table, Tone, View

BADGES: dict[Tone, str] = {"critical": "CRITICAL", "warn": "WARNING", "info": "NOT CHECKED", "ok": "OK"}
NUMBERS = {
    "tokens": "tokens",
    "responses": "responses",
    "mean_gap": "mean of trainer - sampler, in nats",
    "median_gap": "median of it",
    "scale": "robust scatter of it",
    "mult_prob_error": "mean of exp|gap| (1 is perfect; NeMo RL looks into more than 1.05)",
    "prob_diff": "mean difference of probabilities (verl: below 0.005 is normal, above 0.01 a problem)",
    "mean_ratio": "mean ratio (1; the kept mass under truncated sampling)",
    "slope": "slope of trainer on sampler, over all tokens",
    "slope_within_context": "slope among first tokens of one prompt (1; the temperature otherwise)",
    "jumps": "share of tokens that jump",
}


def mismatch_view(report: Report) -> View:
    """The view of a report of the kind "mismatch"."""
    source = str(report.meta.get("source") or "")
    worst = report.worst()
    tone: Tone = "info" if not report.checked else worst or ("warn" if _open(report) else "ok")
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or source),
        tone=tone,
        badge="NOT SEPARATED" if tone == "warn" and not worst else BADGES[tone],
        banner=report.verdict,
        source=source,
        sections=tuple(_sections(report, source)),
        problems=tuple(problem_of(finding, source) for finding in report.findings),
        checked=report.checked,
        unchecked={check.name: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def _open(report: Report) -> bool:
    """Whether there is a gap whose cause could not be told."""
    return bool(report.skipped) and not report.findings and " disagree" in report.verdict


def _sections(report: Report, source: str) -> Iterator[Section]:
    for finding in report.findings:
        yield Section(
            title=finding.name,
            tone=finding.severity,
            code=finding.code,
            name=finding.name,
            extent="",
            parts=tuple(_cause(finding)),
        )
    if report.skipped:
        items = tuple(f"{check.name}: {check.reason}" for check in report.skipped)
        yield Section(title="Not told apart", parts=(Bullets(items=items, plain=True),))
    pairs = tuple(
        (words, number(value)) for key, words in NUMBERS.items() if (value := report.numbers.get(key)) is not None
    )
    if pairs:
        yield Section(title="Numbers", parts=(Facts(pairs=pairs),))
    yield from _course(report)
    codes = list(dict.fromkeys(f.code for f in report.findings))[:2]
    where = shlex.quote(clean(source, 1000))
    yield Section(
        title="Next", parts=(Commands(lines=(*(f"rldk explain {code}" for code in codes), f"rldk doctor {where}")),)
    )


def _cause(finding: Finding) -> Iterator[Part]:
    yield Paragraph(text=finding.message[:1].upper() + finding.message[1:] + ".")
    facts = tuple((name.replace("_", " "), _shown(value)) for name, value in finding.evidence.items())
    if facts:
        yield Facts(pairs=facts)
    yield Bullets(title="Likely causes", items=finding.causes, ranked=True)
    yield Bullets(title="What to try", items=finding.fixes)


def _course(report: Report) -> Iterator[Section]:
    """The gap by step, by position, and by the age of the weights."""
    steps = report.meta.get("by_step") or []
    if len(steps) > 1:
        curve = Curve(name="median |gap|", step=[s for s, _ in steps], value=[gap for _, gap in steps])
        yield Section(title="Gap by step", parts=(curve,))
    places = report.meta.get("by_position") or []
    if places:
        rows = tuple((f"{a}-{b}" if b > a else f"{a}", number(gap)) for a, b, gap in places)
        yield Section(title="Gap by position", parts=(_table(("Tokens", "Median |gap|"), rows),))
    lags = report.meta.get("by_lag") or []
    if len(lags) > 1:
        rows = tuple((str(lag), number(gap)) for lag, gap in lags)
        yield Section(title="Gap by age of the weights", parts=(_table(("Steps since sync", "Median |gap|"), rows),))


def _table(heads: tuple[str, str], rows: tuple[tuple[str, str], ...]) -> Table:
    return Table(heads=heads, rows=rows, lines=tuple(f"{a}: {b}" for a, b in rows))


def _shown(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)
