"""How a divergence report looks: the verdict, who moved first, both curves, causes, and what was not compared."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, assert_never

from rldk.cards.chart import number
from rldk.cards.safe import clean
from rldk.cards.words import plural
from rldk.core.view import Band, Bullets, Charts, Commands, Curve, Problem, Section, SideLine, Table, Tone, View
from rldk.diff.facts import DivergenceFacts, SignalDivergence

DRAWN = 4  # curves of signals, without --all
QUESTIONS = {
    "identical": "Are they identical?",
    "same-seed": "Same seed: is it the same computation?",
    "seed-noise": "Is B more than seed noise?",
    "not-identifiable": "Do the two part? (one pair cannot tell a change from a seed)",
}


def verdict_of(report: DivergenceFacts) -> str:
    """The answer in a sentence or two."""
    count = plural(len(report.checked), "signal")
    steps = f"{report.numbers.get('common_steps') or 0:,} common steps"
    where = f"at step {report.first_step:,}" if report.first_step is not None else ""
    match report.question:
        case "identical":
            return f"A and B are identical, bit for bit, in {count} at {steps}."
        case "same-seed" if report.diverged:
            return f"B leaves A {where}, {_lead(report)} first, although both are one computation. {_how(report)}"
        case "same-seed":
            return f"A and B are one computation: in {count} at {steps} they differ by rounding at most."
        case "seed-noise" if report.diverged:
            return (
                f"B leaves the range of {report.numbers['baselines']} runs of A's kind {where}, {_lead(report)} first: "
                f"this is more than seed noise."
            )
        case "seed-noise":
            return f"B stays within the seed noise of {report.numbers['baselines']} runs in {count} at {steps}."
        case "not-identifiable" if report.diverged:
            return (
                f"A and B part {where}, {_lead(report)} first. One pair cannot tell whether a change or the seed did "
                f"it: give four more runs of A's kind with --baseline."
            )
        case "not-identifiable" if not report.checked:
            return "Nothing was tested: the runs have too few common steps."
        case "not-identifiable":
            return (
                f"A and B do not part in {count} at {steps}. A difference that is there from the start cannot be told "
                f"from the seed."
            )
        case _:
            assert_never(report.question)


def divergence_view(report: DivergenceFacts) -> View:
    """The view of the report."""
    sure = report.question in ("seed-noise", "same-seed")
    tone: Tone = "ok" if report.passed else "info" if not report.diverged else "critical" if sure else "warn"
    badge = "DIVERGED" if report.diverged else "NOT TESTED" if not report.passed else report.question.upper()
    if report.passed and report.question != "identical":
        badge = "NO DIVERGENCE"
    return View(
        kind=report.kind,
        title=f"B {report.meta['b']} against A {report.meta['a']}",
        tone=tone,
        badge=badge,
        banner=report.verdict,
        source=str(report.meta["b"]),
        sections=tuple(_sections(report)),
        problems=tuple(_problem(report, one) for one in ordered(report) if one.diverged),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def ordered(report: DivergenceFacts) -> list[SignalDivergence]:
    """The signals, the first mover first; those that did not move last, the nearest to the limit first."""
    place = {name: i for i, name in enumerate(report.tripped_signals)}
    return sorted(report.details, key=lambda d: (place.get(d.signal, len(place)), -(d.score or 0)))


def _sections(report: DivergenceFacts) -> Iterator[Section]:
    if report.suspected_causes and report.diverged:
        items = report.suspected_causes
        yield Section(title="Suspected causes", parts=(Bullets(items=tuple(items), ranked=True, most=5),))
    each = ordered(report)
    curves = (
        () if report.question == "identical" else tuple(c for one in each if (c := _curve(report, one)) is not None)
    )
    yield Section(title=QUESTIONS[report.question], parts=(_table(report, each), *curves[:DRAWN]))
    if curves[DRAWN:]:
        yield Section(title="The other signals", parts=(Charts(curves=curves[DRAWN:]),), wide=True)
    if report.skipped:
        items = tuple(f"{check.name}: {check.reason}" for check in report.skipped)
        yield Section(title="Not compared", parts=(Bullets(items=items, plain=True),))
    if report.notes:
        yield Section(title="Notes", parts=(Bullets(items=tuple(note.text for note in report.notes)),))
    yield Section(title="Next", parts=(Commands(lines=tuple(_next(report))),))


def _table(report: DivergenceFacts, each: list[SignalDivergence]) -> Table:
    exact = report.question in ("identical", "same-seed")
    heads = ("Signal", "First step", "Began after", "A", "B", "First unequal" if exact else "Times the limit")
    rows = tuple(_cells(one, exact=exact) for one in each)
    tones: tuple[Tone, ...] = tuple("warn" if one.diverged else "" for one in each)
    lines = tuple(_line(one, exact=exact) for one in each)
    return Table(heads=heads, rows=rows, tones=tones, lines=lines, most=8)


def _cells(one: SignalDivergence, *, exact: bool) -> tuple[str, ...]:
    last = _step(one.first_unequal) if exact else number(one.score) if one.score is not None else "not tested"
    began = _step(one.onset if one.diverged else None)
    return one.signal, _step(one.first_step), began, number(one.a), number(one.b), last


def _line(one: SignalDivergence, *, exact: bool) -> str:
    if one.diverged:
        kind = {"rounding": ", grown out of rounding", "change": ", large at once", "": ""}[one.kind]
        size = "" if exact or one.score is None else f", {number(one.score)} times the limit"
        return f"{one.signal}: from step {_step(one.first_step)} on (A {number(one.a)}, B {number(one.b)}{size}{kind})"
    if exact:
        later = f"equal up to rounding; bits differ from step {_step(one.first_unequal)}"
        return f"{one.signal}: {'the same bits' if one.first_unequal is None else later}"
    return f"{one.signal}: {'not tested' if one.score is None else f'{number(one.score)} of the limit at most'}"


def _curve(report: DivergenceFacts, one: SignalDivergence) -> Curve | None:
    series: dict[str, Any] | None = report.meta.get("series", {}).get(one.signal)
    if series is None or not series["step"]:
        return None
    beside = [SideLine(name="A", step=series["step"], value=series["a"], kind="other")]
    if "low" in series:
        beside += [SideLine(name=k, step=series["step"], value=series[k], kind=k) for k in ("low", "high")]
    bands: tuple[Band, ...] = ()
    if one.first_step is not None:
        began = one.onset if one.onset is not None else one.first_step
        label = f"onset of {one.signal}, steps {began:,} to {one.first_step:,}"
        bands = (
            Band(first=began, last=one.first_step, kind="warn", label=label),
            Band(first=one.first_step, last=one.first_step, kind="onset", label=f"parts, step {one.first_step:,}"),
        )
    return Curve(name=one.signal, step=series["step"], value=series["b"], bands=bands, beside=tuple(beside))


def _problem(report: DivergenceFacts, one: SignalDivergence) -> Problem:
    first = one.first_step or 0
    sure = report.question in ("seed-noise", "same-seed")
    return Problem(
        code=f"diverged-{clean(one.signal, 60)}",
        name="diverged",
        severity="critical" if sure else "warn",
        message=f"{_line(one, exact=report.question == 'same-seed')}",
        source=str(report.meta["b"]),
        steps=(first, first),
        metric=one.signal,
        value=one.b,
        causes=report.suspected_causes[:3],
    )


def _next(report: DivergenceFacts) -> Iterator[str]:
    a, b = (shlex.quote(clean(report.meta[name], 1000)) for name in ("a", "b"))
    if report.question == "not-identifiable":
        yield f"rldk diff --a {a} --b {b} --baseline RUN1 --baseline RUN2 ..."
    yield f"rldk doctor {b}"
    if report.suspected_causes:
        yield f"rldk runs diff {a} {b}"


def _lead(report: DivergenceFacts) -> str:
    return f"`{report.first_mover}`"


def _how(report: DivergenceFacts) -> str:
    lead = next(one for one in report.details if one.signal == report.first_mover)
    if lead.kind == "rounding":
        since = _step(lead.first_unequal)
        return f"It grew out of rounding from step {since} on: look for nondeterminism before a change."
    return "It is large at once: look for a change of code, data or configuration."


def _step(step: int | None) -> str:
    return "-" if step is None else f"{step:,}"
