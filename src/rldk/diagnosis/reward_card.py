"""The reward card: whether a run's reward is learnt, kept and honest, as far as its log and a reward check can say."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol, cast

import numpy as np
from msgspec import field
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.cards.chart import number
from rldk.cards.report_view import metric_curve
from rldk.cards.safe import clean
from rldk.cards.trust.card import Card, made_by, status_of
from rldk.cards.trust.facts import CardCheck, CardCurve, CardPlot, CardTable
from rldk.cards.trust.kinds import card
from rldk.cards.trust.status import WORD_OF, WORST_FIRST
from rldk.cards.trust.subject import subject_of
from rldk.cards.trust.view import card_view
from rldk.cards.words import plural, sentence, steps
from rldk.core.model import SEVERITIES, Finding, Report, Run
from rldk.core.stats.coupling import overall
from rldk.core.table import MetricTable
from rldk.core.view import View
from rldk.diagnosis import diagnose_run, runs_in
from rldk.diagnosis.reward_groups import GAPS, GOAL, LENGTH, QUESTIONS, RewardQuestion
from rldk.engine.compare import align
from rldk.errors import UsageError

PARTS = 5  # parts of a run in the table
COLUMNS = (*GOAL, "reward_std", "kl", *LENGTH)
DRAWN = (*GOAL, "reward_std", "kl", *LENGTH, "zero_std_group_frac", "entropy")
CURVES = 4
FEWEST = 12  # rows below which nothing is said about how two metrics go together


class CompletesRewardCard(Protocol):
    """What fills the gaps of a reward card: a report with answers. A check takes the place of the gap that has its
    `code` (see `rldk.diagnosis.reward_groups.GAPS`); others are added. A report with `card_plots()` is drawn, too."""

    def card_checks(self) -> Iterable[CardCheck]:
        """The checks, each with its evidence; "not checked" with a reason where the data was missing."""


class RewardCard(Card, frozen=True, kw_only=True):
    """A trust card about a reward. `goal`: the metric that stands for it, "" where the log has none. `first`, `last`,
    `best`: its mean over the first and the last tenth of the rows, and the best tenth, in the metric's own unit; NaN
    where it is not known. `length_coupling`, `kl_coupling`: rank correlation of the changes of reward with those of
    length and KL from row to row. `plots`: what a reward check draws of single answers."""

    goal: str = ""
    first: float | None = None
    last: float | None = None
    best: float | None = None
    length_coupling: float | None = None
    kl_coupling: float | None = None
    health: bool = False
    tenths: dict[str, tuple[float, ...]] = field(default_factory=dict)
    plots: tuple[CardPlot, ...] = ()

    def view(self) -> View:
        """Everything that a renderer may show of the card."""
        return card_view(self, self.plots)


@card("reward")
def card_of_run(
    run: Any,
    *,
    health: CompletesRewardCard | None = None,
    field_map: Mapping[str, str] | None = None,
    command: str = "",
) -> RewardCard:
    """The card of one run: a path, a DataFrame, or anything else that `ingest_runs` reads.

    `health`: a report that answers what a log cannot; it may also stand in place of the run. `command`: prints the card
    again. Raises `UsageError` where the source holds several runs, and the errors of the adapters."""
    if health is None and hasattr(run, "card_checks"):
        health, run = cast("CompletesRewardCard", run), None
    made = list(health.card_checks()) if health is not None else []
    draw = getattr(health, "card_plots", None)
    plots: tuple[CardPlot, ...] = tuple(draw()) if draw is not None else ()
    if run is None:
        told = getattr(health, "meta", {})
        meta = {name: str(told.get(name) or "a reward check") for name in ("source", "run")}
        return _finished(made, [], meta=meta, command=command, plots=plots)
    found = runs_in(run, field_map=field_map)
    if len(found) != 1:
        names = ", ".join(one.id for one in found[:5])
        raise UsageError(f"{run} holds {len(found)} runs: {names}", hint="name one of them")
    return _card_of(found[0], run, made, command=command, plots=plots)


def _card_of(run: Run, source: Any, made: list[CardCheck], *, command: str, plots: tuple[CardPlot, ...]) -> RewardCard:
    report = diagnose_run(run)
    named = str(source) if isinstance(source, str | os.PathLike) else run.id
    goal = next((name for name in GOAL if _values(run.metrics, name).size), "")
    asked = [check for one in QUESTIONS if (check := _answer(one, report, run.metrics)) is not None]
    return _finished(
        made,
        asked,
        goal=goal,
        subjects=(subject_of(run, source),),
        findings=tuple(f for f in report.findings if any(_is_about(one, f.code) for one in QUESTIONS)),
        checked=report.checked,
        numbers={name: report.numbers.get(name) for name in ("rows", "first_step", "last_step")},
        meta={"source": named, "run": run.id},
        curves=tuple(_curves(report, run.metrics)),
        tables=tuple(_tables(run.metrics)),
        plots=plots,
        command=command or f"rldk card reward {shlex.quote(clean(named, 400))}",
        **_numbers(run.metrics, goal),
    )


def _finished(made: Sequence[CardCheck], asked: Sequence[CardCheck], **facts: Any) -> RewardCard:
    """The card with the answers of the log and of a reward check, and a gap for each question without one."""
    known = {one.code for one in made}
    gaps = [
        CardCheck(name=gap.name, code=gap.code, status="not checked", reason=gap.reason)
        for gap in GAPS
        if gap.code not in known
    ]
    checks = (*_one_verdict_each(asked, made), *gaps)
    status = status_of(checks)
    return RewardCard(
        kind="reward_card",
        passed=status in ("pass", "warn"),
        status=status,
        verdict=_verdict(checks, status, facts),
        checks=checks,
        made_by=made_by(),
        health=bool(made),
        **facts,
    )


def _one_verdict_each(asked: Sequence[CardCheck], made: Sequence[CardCheck]) -> Iterator[CardCheck]:
    """The checks of the log and of the answers. Where both ask the same, the worse outcome stands for both, under the
    name of the question, and its method names the other."""
    same = {question.name: question.same for question in QUESTIONS if question.same}
    answered = {one.code: one for one in made if one.status != "not checked"}
    joined: set[str] = set()
    for one in asked:
        other = answered.get(same.get(one.name, ""))
        if other is None:
            yield one
            continue
        joined.add(other.code)
        worse, second = sorted((other, one), key=lambda check: WORST_FIRST.index(check.status))
        where = "the log" if second is one else "single answers"
        seen = f"; {where}: {second.status} ({second.method})" if second.status != "not checked" else ""
        yield replace(worse, name=one.name, method=f"{worse.method}{seen}")
    yield from (one for one in made if one.code not in joined)


def _verdict(checks: Sequence[CardCheck], status: str, facts: Mapping[str, Any]) -> str:
    goal, first, last = facts.get("goal"), facts.get("first"), facts.get("last")
    course = f"`{goal}` goes from {number(first)} to {number(last)}." if goal and first is not None else ""
    seen = " ".join(one.result for one in checks if one.status == "warn")
    if status == "not checked":
        reasons = [one.reason for one in checks if one.main or not facts.get("subjects")]
        lacking = reasons[0] if reasons else "there is no reward in it"
        return " ".join(part for part in (f"The reward was not judged: {lacking}.", seen, course) if part)
    if status == "pass":
        answered = sum(one.status == "pass" for one in checks)
        return f"{plural(answered, 'check')} passed. {course}".strip()
    worst = [one for one in checks if one.status == min((c.status for c in checks), key=WORST_FIRST.index)]
    others = ", ".join(f"{one.name[:1].lower()}{one.name[1:]}" for one in worst[1:])
    more = f" Also in question: {others}." if others else ""
    return f"{worst[0].result}{more} {course}".strip()


def _answer(question: RewardQuestion, report: Report, table: MetricTable) -> CardCheck | None:
    """The answer of the rules; None where none of them applies to such a run."""
    looked = [code for code in report.checked if _is_about(question, code)]
    found = [f for f in report.findings if _is_about(question, f.code)]
    if not looked and not found:
        return _unanswered(question, report)
    worst = max(found, key=lambda f: (SEVERITIES.index(f.severity), -(f.first_step or 0)), default=None)
    beside = _beside(question, table)
    if worst is None:
        return CardCheck(
            name=question.name,
            code=question.code,
            status="pass",
            result=sentence(question.quiet),
            method=_method(looked, beside),
            n=len(looked),
            of="rule" if len(looked) == 1 else "rules",
            main=question.main,
        )
    where = steps(worst.first_step, worst.last_step)
    return CardCheck(
        name=question.name,
        code=worst.code,
        status=WORD_OF[worst.severity],
        result=sentence(f"{where}: {worst.message}"),
        value=worst.value,
        limit=worst.limit,
        n=len(looked),
        of="rule" if len(looked) == 1 else "rules",
        method=f"{worst.code} {worst.name}{beside and f'; {beside}'}",
        metric=worst.metric,
        steps=None if worst.first_step is None or worst.last_step is None else (worst.first_step, worst.last_step),
        causes=worst.causes,
        fixes=worst.fixes,
        main=question.main,
    )


def _unanswered(question: RewardQuestion, report: Report) -> CardCheck | None:
    """The question without an answer, and the reason; None where no rule applies to such a run."""
    lacking = [check for check in report.skipped if check.status == "skipped" and _is_about(question, check.code)]
    if not lacking and not question.main:
        return None
    about = f"needs {' or '.join(question.metrics[:3])} in the log"
    first = min(lacking, key=lambda check: _place(question, check.code), default=None)
    reason = first.reason if first is not None else about
    return CardCheck(name=question.name, code=question.code, status="not checked", reason=reason, main=question.main)


def _place(question: RewardQuestion, code: str) -> int:
    return next(place for place, one in enumerate(question.rules) if code.startswith(one))


def _is_about(question: RewardQuestion, code: str) -> bool:
    return any(code.startswith(one) for one in question.rules)


def _method(looked: Sequence[str], beside: str) -> str:
    few = ", ".join(looked[:4]) + (" ..." if len(looked) > 4 else "")
    return f"{few}{beside and f'; {beside}'}"


def _beside(question: RewardQuestion, table: MetricTable) -> str:
    """How the reward moves with what the question is about."""
    for name in question.metrics:
        if question.code in ("reward-length", "reward-kl"):
            rho, low, high, n = coupling(table, name)
            if n:
                interval = f" ({number(low)} to {number(high)})" if math.isfinite(low) else ""
                return f"changes of reward and {name}: rank correlation {rho:.2f}{interval}, n {n:,}"
    return ""


def coupling(table: MetricTable, name: str) -> tuple[float, float, float, int]:
    """The rank correlation of the changes of the mean reward and of `name` from row to row, its 95 % interval, and the
    number of changes; 0 changes where one of the two is missing or too short.

    Changes, because two curves that both rise correlate without having anything to do with each other."""
    if "reward_mean" not in table.columns or name not in table.columns:
        return math.nan, math.nan, math.nan, 0
    reward, other = align([table], "reward_mean"), align([table], name)
    _, i, j = np.intersect1d(reward.step, other.step, return_indices=True)
    a, b = np.diff(reward.values[0][i]), np.diff(other.values[0][j])
    there = np.isfinite(a) & np.isfinite(b)
    if there.sum() < FEWEST:
        return math.nan, math.nan, math.nan, 0
    found = overall(a[there], b[there])
    return (found.rho, found.low, found.high, found.n) if math.isfinite(found.rho) else (math.nan,) * 3 + (0,)


def _values(table: MetricTable, name: str) -> NDArray[np.float64]:
    if name not in table.columns:
        return np.array([])
    values: NDArray[np.float64] = align([table], name).values[0]
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def _numbers(table: MetricTable, goal: str) -> dict[str, Any]:
    values = _values(table, goal) if goal else np.array([])
    made: dict[str, Any] = {"length_coupling": None, "kl_coupling": None}
    for key, names in (("length_coupling", LENGTH), ("kl_coupling", ("kl",))):
        known = [found[0] for name in names if (found := coupling(table, name))[3]]
        made[key] = round(known[0], 4) if known else None
    if not values.size:
        return made
    tenth = max(1, values.size // 10)
    means = [float(part.mean()) for part in np.array_split(values, min(10, values.size))]
    first, last = float(values[:tenth].mean()), float(values[-tenth:].mean())
    return {**made, "first": first, "last": last, "best": max(means), "tenths": {goal: tuple(means)}}


def _curves(report: Report, table: MetricTable) -> Iterator[CardCurve]:
    by_metric: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_metric.setdefault(finding.metric, []).append(finding)
    drawn = [metric_curve(report, name, by_metric.get(name, [])[:4]) for name in DRAWN if name in table.columns]
    for one in [curve for curve in drawn if curve is not None][:CURVES]:
        yield CardCurve(
            name=one.name, step=tuple(one.step), value=tuple(one.value), gaps=tuple(one.gaps), bands=one.bands,
            limits=one.limits,
        )  # fmt: skip


def _tables(table: MetricTable) -> Iterator[CardTable]:
    """The course of the run in equal parts: how reward, its spread, KL and length went together."""
    names = [name for name in dict.fromkeys(COLUMNS) if _values(table, name).size >= PARTS]
    if not names or len(table) < PARTS:
        return
    edges = np.quantile(table.step, np.linspace(0, 1, PARTS + 1)).astype(np.int64)
    rows = []
    for place, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = (table.step >= low) & ((table.step <= high) if place == PARTS - 1 else (table.step < high))
        end = high if place == PARTS - 1 else high - 1
        rows.append((f"{low:,}-{end:,}", *(number(_mean(table.columns[name][inside])) for name in names)))
    yield CardTable(title="The run in five parts (means)", heads=("Steps", *names), rows=tuple(rows))


def _mean(values: NDArray[np.float64]) -> float | None:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else None
