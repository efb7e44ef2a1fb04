"""The drift card: whether run B left run A, in which signal and from which step on, and what may have caused it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from msgspec import field

from rldk.cards.chart import number
from rldk.cards.safe import clean
from rldk.cards.trust.card import Card, made_by, status_of
from rldk.cards.trust.facts import CardCheck, CardCurve, CardSubject, CardTable
from rldk.cards.trust.status import CardWord
from rldk.cards.trust.view import LIMITS
from rldk.cards.words import sentence
from rldk.core.codec import from_builtins
from rldk.diff.facts import Question, SignalDivergence
from rldk.diff.report import DivergenceReport
from rldk.diff.view import QUESTIONS, divergence_curve, ordered, problem_code, signal_line

DRAWN = 4
# how each question is answered, and where the limit of its answer comes from (docs/diff.md)
METHODS: dict[Question, str] = {
    "identical": "equal in every bit that was logged",
    "same-seed": "one seed: only what rounding cannot explain is a difference",
    "seed-noise": "range of the baseline runs; one limit for all signals, from these runs alone",
    "not-identifiable": "cumulative sum of the prewhitened difference B - A against its first steps",
}
UNITS: dict[Question, str] = {"seed-noise": LIMITS, "not-identifiable": LIMITS}
NO_BASELINE = "needs four or more further runs that differ from A in their seed only (--baseline)"


class DriftCard(Card, frozen=True, kw_only=True):
    """A trust card about two runs. `question`, `diverged`, `first_step`, `first_mover`, `suspected_causes`: as in
    the `DivergenceReport`. `signals`: every signal, the first mover first. `settings`: k_consecutive, window,
    tolerance."""

    question: Question
    diverged: bool
    first_step: int | None = None
    first_mover: str | None = None
    suspected_causes: tuple[str, ...] = ()
    signals: tuple[SignalDivergence, ...] = ()
    settings: dict[str, float] = field(default_factory=dict)


def drift_card(report: DivergenceReport, *, command: str = "") -> DriftCard:
    """The card of a divergence report. Equal reports give equal cards."""
    checks = (*(_check(report, one) for one in ordered(report)), *_untested(report))
    status = status_of(checks)
    a, b = (str(report.meta[name]) for name in ("a", "b"))
    return DriftCard(
        kind="drift_card",
        passed=status in ("pass", "warn"),
        status=status,
        verdict=report.verdict,
        checked=report.checked,
        skipped=report.skipped,
        notes=report.notes,
        numbers=dict(report.numbers),
        meta={"source": b, "run": f"{_name(b)} against {_name(a)}", "question": QUESTIONS[report.question]},
        subjects=tuple(from_builtins(one, CardSubject) for one in report.meta.get("subjects", ())),
        checks=checks,
        curves=tuple(_curves(report)),
        tables=tuple(_tables(report)),
        command=command or _command(report, a, b),
        made_by=made_by(),
        question=report.question,
        diverged=report.diverged,
        first_step=report.first_step,
        first_mover=report.first_mover,
        suspected_causes=report.suspected_causes,
        signals=tuple(ordered(report)),
        settings=dict(report.meta.get("settings", {})),
    )


def _check(report: DivergenceReport, one: SignalDivergence) -> CardCheck:
    exact = report.question in ("identical", "same-seed")
    sure = report.question in ("same-seed", "seed-noise")
    tested = exact or one.score is not None
    status: CardWord = "pass" if tested else "not checked"
    if one.diverged:
        status = "fail" if sure else "warn"
    began = one.onset if one.onset is not None else one.first_step
    return CardCheck(
        name=clean(one.signal, 60),
        code=problem_code(one.signal),
        status=status,
        result=_told(one, exact=exact) if tested else "",
        reason="" if tested else "needs more common steps, or a smaller window",
        value=one.ulps if exact else one.score,
        limit=None if exact or one.score is None else 1.0,
        unit="units of the last place" if exact and one.ulps is not None else UNITS.get(report.question, ""),
        n=one.n,
        of="common steps",
        method=METHODS[report.question],
        p=one.p,
        metric=one.signal,
        steps=None if one.first_step is None or began is None else (began, one.first_step),
        causes=report.suspected_causes if one.diverged else (),
    )


def _told(one: SignalDivergence, *, exact: bool) -> str:
    """The clause about the signal without its name, which stands beside it."""
    if not exact and not one.diverged:
        return "Stays within the limit."
    if not exact:
        return f"From step {one.first_step or 0:,} on: A {number(one.a)}, B {number(one.b)}."
    return sentence(signal_line(one, exact=exact).removeprefix(f"{one.signal}: "))


def _untested(report: DivergenceReport) -> Iterator[CardCheck]:
    if report.question == "not-identifiable":
        yield CardCheck(name="More than seed noise", code="seed-noise", status="not checked", reason=NO_BASELINE)
    known = {one.signal for one in report.details}
    for check in report.skipped:
        if check.code not in known:
            yield CardCheck(
                name=clean(check.name, 60), code=problem_code(check.code), status="not checked", reason=check.reason
            )


def _curves(report: DivergenceReport) -> Iterator[CardCurve]:
    if report.question == "identical":
        return
    drawn = [curve for one in ordered(report) if (curve := divergence_curve(report, one)) is not None]
    for one in drawn[:DRAWN]:
        yield CardCurve(name=one.name, step=tuple(one.step), value=tuple(one.value), bands=one.bands, beside=one.beside)


def _tables(report: DivergenceReport) -> Iterator[CardTable]:
    if report.suspected_causes and report.diverged:
        rows = tuple((str(place), cause) for place, cause in enumerate(report.suspected_causes, 1))
        yield CardTable(title="Suspected causes, the likeliest first", heads=("", "What the runs record"), rows=rows)


def _command(report: DivergenceReport, a: str, b: str) -> str:
    others = "".join(f" --baseline {shlex.quote(clean(one, 400))}" for one in report.meta.get("baselines", ())[:8])
    return f"rldk card drift {shlex.quote(clean(a, 400))} {shlex.quote(clean(b, 400))}{others}"


def _name(source: str) -> str:
    """The last part of a path, which is how people call a run."""
    return os.path.basename(source.rstrip("/")) or source  # noqa: PTH119 - text, maybe a URL
