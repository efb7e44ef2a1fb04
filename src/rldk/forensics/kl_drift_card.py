"""The KL drift card: whether the KL left its course, since when and how far, with the curve and both periods."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import field

from rldk.cards.chart import number
from rldk.cards.forensics import drift_verdict
from rldk.cards.safe import clean
from rldk.cards.series import series_of
from rldk.cards.trust.card import Card, made_by, status_of
from rldk.cards.trust.facts import CardCheck, CardCurve, CardTable
from rldk.cards.trust.kinds import card
from rldk.cards.trust.status import WORD_OF, CardWord
from rldk.cards.trust.subject import subject_of
from rldk.cards.words import sentence, steps
from rldk.core.model import Finding, Report, Run
from rldk.core.view import Band, Limit
from rldk.forensics.comprehensive import ComprehensivePPOForensics
from rldk.forensics.scan import open_one

DRAWN = ("kl", "kl_coef", "reward_mean", "entropy")
NEEDS_KL = "needs a KL to the reference policy in the log (map it with a field map)"
TARGET_RULES = ("KL009", "KL019")
HEADS = ("Period", "Steps", "Median", "Mean", "Standard deviation")


class KLDriftCard(Card, frozen=True, kw_only=True):
    """A trust card about the KL. `drift`: the analysis, as `get_kl_drift_analysis` documents it. `kl_target`: that of
    the run; None where it has none."""

    drift: dict[str, Any] = field(default_factory=dict)
    kl_target: float | None = None


@card("kl-drift")
def card_of_kl(
    run: Any,
    *,
    field_map: Mapping[str, str] | None = None,
    drift_threshold: float = 0.15,
    drift_window_size: int = 100,
    reference_period: int | None = None,
    command: str = "",
) -> KLDriftCard:
    """The card of one run: a path, a DataFrame, or anything else that `ingest_runs` reads.

    The other options are those of `rldk forensics kl-drift`. Raises `UsageError` where the source holds several runs,
    and the errors of the adapters."""
    opened = run if isinstance(run, Run) else open_one(run, field_map=field_map)
    forensics = ComprehensivePPOForensics.of_run(
        opened,
        reference_period=reference_period,
        kl_drift_threshold=drift_threshold,
        kl_drift_window_size=drift_window_size,
    )
    drift = forensics.get_kl_drift_analysis()
    report = forensics.report()
    named = str(run) if isinstance(run, str | os.PathLike) else opened.id
    known = {one["code"] for one in drift["anomalies"]}
    others = [one for one in report.findings if one.family == "KL" and one.code not in known]
    checks = (_course(drift, report), *map(_finding, others), *_target(report, forensics.kl_target))
    status = status_of(checks)
    return KLDriftCard(
        kind="kl_drift_card",
        passed=status in ("pass", "warn"),
        status=status,
        verdict=drift_verdict(drift),
        checked=tuple(drift["decided_by"]) if drift["rows"] else (),
        numbers={name: drift[name] for name in ("score", "threshold", "divergence", "rows", "drift_start_step")},
        meta={"source": named, "run": opened.id},
        subjects=(subject_of(opened, run),),
        checks=checks,
        curves=tuple(_curves(opened, drift, forensics.kl_target)),
        tables=tuple(_tables(drift)),
        command=command or f"rldk card kl-drift {shlex.quote(clean(named, 400))}",
        made_by=made_by(),
        drift=drift,
        kl_target=forensics.kl_target,
    )


def _course(drift: Mapping[str, Any], report: Report) -> CardCheck:
    name, code = "The KL keeps its course", "kl-course"
    if drift["status"] == "no_data":
        return CardCheck(name=name, code=code, status="not checked", reason=NEEDS_KL, main=True)
    if drift["status"] == "too_early":
        reason = f"needs 40 rows with a KL; there are {drift['rows']}"
        return CardCheck(name=name, code=code, status="not checked", reason=reason, main=True)
    found = drift["anomalies"]
    worst = max(found, key=lambda one: one["level"] == "critical", default=None)
    status: CardWord = "pass" if worst is None else WORD_OF[worst["level"]]
    behind = next((one for one in report.findings if worst is not None and one.code == worst["code"]), None)
    return CardCheck(
        name=name,
        code=code if worst is None else worst["code"],
        status=status,
        result=sentence(worst["message"]) if worst is not None else drift_verdict(drift),
        value=drift["score"],
        limit=drift["threshold"],
        unit="of 1",
        n=drift["rows"],
        of="rows",
        method=f"{', '.join(drift['decided_by'])}; Jensen-Shannon distance of the newest rows to the first ones",
        metric="kl",
        steps=None if worst is None else (worst["first_step"], worst["last_step"]),
        causes=behind.causes if behind is not None else (),
        fixes=behind.fixes if behind is not None else (),
        main=True,
    )


def _finding(one: Finding) -> CardCheck:
    first, last = one.first_step, one.last_step
    return CardCheck(
        name=one.name.replace("-", " ").replace("kl ", "KL "),
        code=one.code,
        status=WORD_OF[one.severity],
        result=sentence(f"{steps(first, last)}: {one.message}"),
        value=one.value,
        limit=one.limit,
        method=f"{one.code} {one.name}",
        metric=one.metric,
        steps=None if first is None or last is None else (first, last),
        causes=one.causes,
        fixes=one.fixes,
    )


def _target(report: Report, target: float | None) -> Iterator[CardCheck]:
    """Whether the KL stays near the run's target. What is wrong has a check of its own."""
    name, code = "KL against its target", "kl-target"
    looked = [one for one in TARGET_RULES if one in report.checked]
    if target is None or not looked:
        reason = "needs a KL target in the run's configuration"
        if target is not None:
            reason = next((c.reason for c in report.skipped if c.code in TARGET_RULES), NEEDS_KL)
        yield CardCheck(name=name, code=code, status="not checked", reason=reason)
    elif not any(one.code in TARGET_RULES for one in report.findings):
        text = f"No rule sees the KL stay away from the target of {number(target)}."
        count = len(looked)
        of = "rule" if count == 1 else "rules"
        yield CardCheck(name=name, code=code, status="pass", result=text, n=count, of=of, method=", ".join(looked))


def _curves(run: Run, drift: Mapping[str, Any], target: float | None) -> Iterator[CardCurve]:
    for name in DRAWN:
        if name not in run.metrics.columns:
            continue
        series = series_of(run.metrics, name)
        if series["rows"] < 2:
            continue
        is_kl = name == "kl"
        yield CardCurve(
            name=name,
            step=tuple(series["step"]),
            value=tuple(series["value"]),
            gaps=tuple(series["gaps"]),
            bands=tuple(_bands(drift)) if is_kl else (),
            limits=(Limit(value=target, label=f"target {number(target)}"),) if is_kl and target is not None else (),
        )


def _bands(drift: Mapping[str, Any]) -> Iterator[Band]:
    for one in drift["anomalies"]:
        if one["first_step"] is not None and one["last_step"] is not None:
            label = f"{one['code']} {steps(one['first_step'], one['last_step'])}"
            yield Band(first=one["first_step"], last=one["last_step"], kind=one["level"], label=label)


def _tables(drift: Mapping[str, Any]) -> Iterator[CardTable]:
    if drift["score"] is None:
        return
    rows = tuple(
        (
            words,
            steps(*drift[f"{name}_steps"]),
            *(number(drift[f"{name}_{what}"]) for what in ("median", "mean", "std")),
        )
        for name, words in (("reference", "reference"), ("current", "newest rows"))
    )
    yield CardTable(title="The KL then and now", heads=HEADS, rows=rows)
