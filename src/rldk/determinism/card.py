"""The determinism card: whether a program repeats, made from a check of it, from replicas, or from one run's record."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import field

from rldk.cards.chart import number
from rldk.cards.trust.card import Card, made_by, status_of
from rldk.cards.trust.facts import CardCheck, CardCurve, CardSubject, CardTable
from rldk.cards.trust.status import WORD_OF
from rldk.cards.words import plural, sentence
from rldk.core.model import Note
from rldk.determinism.growth import DifferenceGrowth, growth_curve, growth_words
from rldk.determinism.report import DeterminismReport
from rldk.engine.compare.classes import bound
from rldk.engine.compare.mismatches import FirstDivergence, Mismatch

MANY = 24  # checks for which one finding is enough to name
SEED_OF = {True: "another seed gives other numbers", False: "another seed gives the same numbers: it has no effect"}
TOLD = ("seed control", "other surroundings")  # checks of their own on the card
HEADS = ("Metric", "First step", "Unequal steps", "Largest share", "Units of the last place")


class DeterminismCard(Card, frozen=True, kw_only=True):
    """A trust card about repeatability. `classification`: the kind of difference, "" where nothing was compared.
    `replicas`: how many runs were compared. `tolerance`: share of a value that may differ. `rng_map`: for each library
    with a global generator, where the code seeds it and draws from it. `environment`: Python, platform, and the
    variables that decide."""

    classification: str = ""
    replicas: int = 0
    tolerance: float = 0.0
    divergence_rate_at_most: float | None = None
    first_divergence: FirstDivergence | None = None
    culprit: str = ""
    mismatches: tuple[Mismatch, ...] = ()
    rng_map: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


def determinism_card(report: DeterminismReport, *, command: str = "") -> DeterminismCard:
    """The card of a check. Equal reports give equal cards."""
    source = str(report.meta.get("source") or "command")
    checks = (_agreement(report), _control(report), *_surroundings(report), *_rest(report))
    status = status_of(checks)
    replicas = int(report.numbers.get("replicas") or 0)
    return DeterminismCard(
        kind="determinism_card",
        passed=status in ("pass", "warn"),
        status=status,
        verdict=report.verdict,
        findings=report.findings,
        checked=report.checked,
        skipped=report.skipped,
        notes=(*growth_notes(report.growth), *report.notes),
        numbers=dict(report.numbers),
        meta={"source": report.meta.get("script") or source, "run": report.meta.get("run") or source},
        subjects=(CardSubject(role="command", source=source),),
        checks=checks,
        curves=growth_curves(report.growth, float(report.numbers.get("tolerance") or 0.0)),
        tables=tuple(_tables(report)),
        command=command or f"rldk check-determinism --cmd {shlex.quote(source)}",
        made_by=made_by(),
        classification=report.classification,
        replicas=replicas,
        tolerance=float(report.numbers.get("tolerance") or 0.0),
        divergence_rate_at_most=report.numbers.get("divergence_rate_at_most"),
        first_divergence=report.first_divergence,
        culprit=report.culprit,
        mismatches=report.mismatches,
        rng_map=report.rng_map,
        environment=dict(report.meta.get("environment") or {}),
    )


def _agreement(report: DeterminismReport) -> CardCheck:
    count = int(report.numbers.get("replicas") or 0)
    found = next((f for f in report.findings if f.code != "DET006"), None)
    tolerance = report.numbers.get("tolerance") or 0.0
    how = "bit by bit" if not tolerance else f"within {tolerance:g} of the value"
    proof = f"; agreement leaves up to {bound(count):.0%} of runs that may still differ (95 % confidence)"
    return CardCheck(
        name="Replicas agree",
        code=found.code if found is not None else "replicas-agree",
        status=WORD_OF[found.severity] if found is not None else "pass",
        result=sentence(found.message) if found is not None else report.verdict,
        value=report.numbers.get("largest_share"),
        limit=tolerance,
        unit="of the value",
        n=count,
        of="replicas",
        method=f"every metric at every step, {how}{'' if found is not None else proof}",
        metric=found.metric if found is not None else "",
        steps=None if found is None or found.first_step is None else (found.first_step, found.first_step),
        causes=found.causes if found is not None else (),
        fixes=report.fixes,
        main=True,
    )


def _control(report: DeterminismReport) -> CardCheck:
    reason = next((check.reason for check in report.skipped if check.name == "seed control"), "")
    effect = report.classification != "seed ignored"
    return CardCheck(
        name="The seed decides",
        code="seed-control" if effect or reason else "DET006",
        status="not checked" if reason else "pass" if effect else "warn",
        result="" if reason else sentence(SEED_OF[effect]),
        reason=reason,
        value=None if reason else report.numbers.get("distance_other_seed"),
        unit="of the value",
        n=None if reason else 1,
        of="replica",
        method="" if reason else "median distance to a replica with another seed",
    )


def _surroundings(report: DeterminismReport) -> Iterator[CardCheck]:
    tried = [one for one in report.experiments if one.role == "stress"]
    reason = next((check.reason for check in report.skipped if check.name == "other surroundings"), "")
    differ = [one.source for one in tried if one.equal is False]
    yield CardCheck(
        name="Other surroundings",
        code="other-surroundings",
        status="not checked" if not tried else "warn" if differ else "pass",
        result="" if not tried else f"Differs with {', '.join(differ)}." if differ else "Nothing changes the numbers.",
        reason=reason,
        n=len(tried) or None,
        of="replicas",
        method="one replica each with other hashes, threads, folders and load" if tried else "",
    )


def _rest(report: DeterminismReport) -> Iterator[CardCheck]:
    for check in report.skipped[:MANY]:
        if check.name not in TOLD:
            code = check.code.replace(" ", "-").replace(",", "")
            name = check.name[:1].upper() + check.name[1:]
            yield CardCheck(name=name, code=code, status="not checked", reason=check.reason)


def _tables(report: DeterminismReport) -> Iterator[CardTable]:
    if report.mismatches:
        yield mismatch_table(report.mismatches)
    if report.suspects:
        rows = tuple((one.where or "-", one.message, one.code) for one in report.suspects)
        yield CardTable(title="Likely culprit in the code", heads=("Where", "What", "Rule"), rows=rows)


def growth_curves(growth: Sequence[DifferenceGrowth], tolerance: float) -> tuple[CardCurve, ...]:
    """How the difference grows in the metrics that differ first."""
    each = (growth_curve(one, tolerance) for one in growth)
    return tuple(
        CardCurve(
            name=one.name, step=one.step, value=one.value, gaps=one.gaps, bands=one.bands, limits=one.limits, log=True
        )
        for one in each
    )


def growth_notes(growth: Sequence[DifferenceGrowth]) -> tuple[Note, ...]:
    """What is to be seen of the metric that differs first."""
    return tuple(Note(topic="growth", text=growth_words(one)) for one in growth[:1])


def mismatch_table(mismatches: tuple[Mismatch, ...]) -> CardTable:
    """How far replicas are apart, metric by metric."""
    rows = tuple(
        (
            one.metric,
            "-" if one.step is None else f"{one.step:,}",
            f"{one.unequal:,} of {one.steps:,}",
            number(one.share),
            number(one.ulps),
        )
        for one in mismatches
    )
    title = f"How far apart ({plural(len(rows), 'metric')})"
    return CardTable(title=title, heads=HEADS, rows=rows)
