"""`rldk.reward.health`: is the reward real, or does it pay for something else?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.model import SEVERITIES, Check, Finding, Incident, Note
from rldk.core.seeds import seed_of
from rldk.core.stats.proportions import wilson
from rldk.engine.live import Engine
from rldk.engine.once import look_once
from rldk.errors import UsageError
from rldk.reward.answers import AnswerFacts, answer_facts
from rldk.reward.assemble import assemble
from rldk.reward.checks import PLANS, check_of
from rldk.reward.columns import only_known
from rldk.reward.distributions import (
    bound_mass,
    drift_from,
    drift_from_start,
    flat_groups,
    missing_share,
    shift_between,
)
from rldk.reward.ensemble import disagreement_of
from rldk.reward.facts import HealthCheck, LengthBias
from rldk.reward.gold import gold_course
from rldk.reward.labels import LabelFacts, label_facts
from rldk.reward.overlap import contradictions, split_overlap
from rldk.reward.plots import histogram
from rldk.reward.report import RewardHealthReport
from rldk.reward.rows import finite_rows
from rldk.reward.sources import read_raw
from rldk.reward.table import ScoreTable
from rldk.reward.verdict import verdict_of
from rldk.rules.chosen import Words, chosen_rules
from rldk.rules.rule import Context
from rldk.rules.score_view import ScoresView, Shortcut, Thresholds

KIND = "reward_health"


class HealthOptions(Struct, frozen=True, kw_only=True):
    """Everything besides the data. `columns`: field -> column that the user named. `range`: the declared lowest and
    highest reward."""

    limits: Thresholds = field(default_factory=Thresholds)
    columns: Mapping[str, str | None] = field(default_factory=dict)
    gold: Any = None
    range: tuple[float, float] | None = None
    seed: int = 0
    select: Words = None
    ignore: Words = None


def health(  # noqa: PLR0913 - the documented parameters
    run_data: Any,
    reference_data: Any = None,
    reward_col: str = "reward_mean",
    step_col: str = "step",
    *,
    threshold_drift: float = 0.1,
    threshold_saturation: float = 0.8,
    threshold_calibration: float = 0.7,
    threshold_shortcut: float = 0.6,
    threshold_leakage: float = 0.3,
    threshold_length_bias: float = 0.35,
    response_col: str | None = None,
    length_col: str | None = None,
    prompt_col: str | None = None,
    gold: Any = None,
    columns: Mapping[str, str] | None = None,
    reward_range: tuple[float, float] | None = None,
    seed: int = 0,
    select: Words = None,
    ignore: Words = None,
) -> RewardHealthReport:
    """The report on rewards: drift, saturation, calibration, shortcuts, leakage, length bias, over-optimisation,
    labels.

    `run_data`: a DataFrame, anything with `to_pandas()`, a list of dicts, or a path to Parquet, JSON lines, JSON, CSV,
    or any log that rldk reads. One row is one scored answer, or one pair with the scores of a chosen and a rejected
    answer, or one step of a log. `reference_data`: the same, to measure drift against; without it, drift is that from
    the run's own first fifth. `reward_col`, `step_col`: where a column of the default name is missing, the usual names
    are tried. `gold`: a column, one score a row, or a mapping from ids. `columns`: further columns by field
    (`{"label": "is_good", "split": "part"}`); `"scorers"` names those of an ensemble, with commas between them.
    `reward_range`: the lowest and highest reward that there can be.

    `threshold_drift`: Wasserstein distance in standard deviations that warns. `threshold_saturation`: share of rewards
    at one bound that fails. `threshold_calibration`: the score 1 - 2 * ECE below which the check fails.
    `threshold_shortcut`: correlation given the prompt whose whole interval must be beyond it to fail (0.1 warns).
    `threshold_leakage`: gap of accuracy that fails. `threshold_length_bias`: correlation that warns, and fails where
    the whole interval is beyond it.

    A check whose data is missing is `not_available` and says what it needs. Same input and seed: same report. Raises
    `UsageError`, `UnknownName`, `NoData`, `NotALog`, `UnreadableSource`, `MalformedInput`,
    `MissingExtra`."""
    named = {
        "reward": None if reward_col == "reward_mean" else reward_col,
        "step": None if step_col == "step" else step_col,
        "response": response_col,
        "n_tokens": length_col,
        "prompt": prompt_col,
    }
    first = (threshold_drift, threshold_saturation, threshold_calibration)
    limits = _checked(*first, (threshold_shortcut, threshold_leakage, threshold_length_bias))
    seed = seed_of(seed)
    asked = only_known({**named, **(columns or {})})
    rest = {"gold": gold, "range": _range(reward_range), "seed": seed, "select": select, "ignore": ignore}
    options = HealthOptions(limits=limits, columns=asked, **rest)
    table = open_scores(run_data, options)
    reference = None if reference_data is None else open_scores(reference_data, replace(options, gold=None))
    return judge_scores(table, reference, options)


def _checked(drift: float, saturation: float, calibration: float, rest: tuple[float, float, float]) -> Thresholds:
    """The thresholds; `rest` are those of shortcuts, leakage and length bias. Raises `UsageError`."""
    shortcut, leakage, length_bias = rest
    limits = Thresholds(
        drift=drift,
        saturation=saturation,
        calibration=calibration,
        shortcut=shortcut,
        leakage=leakage,
        length_bias=length_bias,
    )
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise UsageError(f"threshold_{name} is {value!r}", hint="give a number of 0 or more")
    return limits


def _range(given: Any) -> tuple[float, float] | None:
    """The lowest and highest reward that there can be. Raises `UsageError`."""
    if given is None:
        return None
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"reward_range is {given!r}", hint="give the lowest and the highest reward: (0.0, 1.0)")
    return low, high


def open_scores(source: Any, options: HealthOptions) -> ScoreTable:
    """The scored answers of a source."""
    named = {name: column for name, column in options.columns.items() if column is not None}
    asked = {**named, "gold": options.gold} if isinstance(options.gold, str) else named
    if "prompt" in named:
        asked["prompt_id"] = named["prompt"]
        named["prompt_id"] = named["prompt"]
    return assemble(read_raw(source, asked), named, options.gold)


def judge_scores(table: ScoreTable, reference: ScoreTable | None, options: HealthOptions) -> RewardHealthReport:
    """The report on scored answers."""
    answers = answer_facts(table, seed=options.seed)
    labels = label_facts(table, seed=options.seed)
    disagreement, words = disagreement_of(table, seed=options.seed)
    view = replace(scores_view(table, reference, options, answers, labels), disagreement=disagreement)
    rules = [rule for rule in chosen_rules("default", options.select, options.ignore) if rule.subject == "scores"]
    context = Context()
    once = look_once(rules, context, Engine(rules, context).inapplicable, {"scores": view})
    unchecked = {check.code: check for check in once.unchecked}
    left = {code for plan in PLANS.values() for code in plan.codes} - {rule.code for rule in rules}
    unchecked |= {code: Check(code=code, name=code, status="not_applicable", reason="not selected") for code in left}
    findings = _in_order(once.findings)
    checks = {
        name: check_of(name, plan, view, findings, unchecked, selected=not left.issuperset(plan.codes))
        for name, plan in PLANS.items()
    }
    judged = [name for name, check in checks.items() if check.status != "not_available" and name != "missing_rewards"]
    failed = any(check.status == "fail" for check in checks.values())
    return RewardHealthReport(
        kind=KIND,
        passed=bool(judged) and not failed,
        verdict=verdict_of(checks),
        findings=findings,
        incidents=tuple(_incident(f) for f in findings),
        checked=tuple(sorted(once.checked)),
        skipped=tuple(sorted(once.unchecked, key=lambda check: check.code)),
        notes=(*_notes(table, answers), *((Note(topic="scorers", text=words),) if words else ())),
        numbers=_numbers(table, view),
        meta=_meta(table),
        checks=checks,
        **_attributes(view, table, answers, checks, findings),
    )


def scores_view(
    table: ScoreTable,
    reference: ScoreTable | None,
    options: HealthOptions,
    answers: AnswerFacts,
    labels: LabelFacts,
) -> ScoresView:
    """Every fact that the data carries."""
    seed, rows = options.seed, finite_rows(table.reward)
    shift = None
    if table.split is not None:
        held, train = (rows[table.split[rows] == part] for part in (1, 0))
        shift = shift_between(table, held, table, train, "training rows", seed=seed)
    return ScoresView(
        samples=len(table),
        within=answers.within,
        limits=options.limits,
        length=answers.length,
        shortcuts=answers.shortcuts,
        words=answers.words,
        position=answers.position,
        accuracy=labels.accuracy,
        style_gap=labels.style_gap,
        calibration=labels.calibration,
        bound=bound_mass(table, options.range),
        flat_groups=flat_groups(table),
        drift=drift_from(table, reference, seed=seed),
        start=drift_from_start(table, seed=seed) if reference is None else None,
        course=gold_course(table),
        noise=labels.noise,
        balance=labels.balance,
        missing=missing_share(table),
        contradictions=contradictions(table),
        overlap=split_overlap(table, seed=seed),
        memorised=labels.memorised,
        shift=shift,
    )


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What fails first, then what warns, then by code. Each is an incident of its own."""

    def key(f: Finding) -> tuple[int, int, str]:
        return -SEVERITIES.index(f.severity), int(f.evidence.get("status") != "fail"), f.code

    return tuple(replace(f, incident=place + 1) for place, f in enumerate(sorted(findings, key=key)))


def _incident(f: Finding) -> Incident:
    return Incident(
        id=f.incident or 0,
        title=f.message,
        severity=f.severity,
        first_step=None,
        last_step=None,
        first_mover=f.metric,
        codes=(f.code,),
        causes=f.causes,
        fixes=f.fixes,
    )


def _attributes(
    view: ScoresView,
    table: ScoreTable,
    answers: AnswerFacts,
    checks: Mapping[str, HealthCheck],
    findings: tuple[Finding, ...],
) -> dict[str, Any]:
    """The documented attributes of the report."""
    codes = {f.code: f for f in findings}
    leaks = [e.value for e in (view.overlap, view.memorised) if e is not None]
    kinds = (("format", view.shortcuts), ("words", view.words and view.words[:20]))
    analysis: dict[str, tuple[Shortcut, ...]] = {name: found for name, found in kinds if found is not None}
    if view.position is not None:
        analysis["position"] = (Shortcut(feature="position", coupling=view.position, p=view.position.p),)
    moves = {name: d for name, d in (("reference", view.drift), ("start", view.start)) if d is not None}
    known = {name: check.status != "not_available" for name, check in checks.items()}
    return {
        "drift_detected": bool(codes.keys() & {"RM027", "RM028"}) if known["drift"] else None,
        "drift_metrics": moves,
        "saturation_issues": tuple(f.message for code, f in codes.items() if code in ("RM025", "RM026")),
        "saturation_analysis": view.bound,
        "flat_group_share": None if view.flat_groups is None else view.flat_groups.value,
        "calibration_score": None if view.calibration is None else view.calibration.score,
        "calibration_details": view.calibration,
        "shortcut_signals": tuple(f.message for code, f in codes.items() if code in PLANS["shortcuts"].codes),
        "shortcut_analysis": analysis,
        "label_leakage_risk": max(leaks) if leaks else None,
        "length_bias_detected": "LEN020" in codes if known["length_bias"] else None,
        "length_bias_metrics": length_bias_of(view, table, answers),
        "length_bias_recommendations": codes["LEN020"].fixes if "LEN020" in codes else (),
        "overoptimization": view.course,
        "ensemble": view.disagreement,
        "label_noise": None if view.noise is None else view.noise.value,
        "fixes": tuple(dict.fromkeys(fix for f in findings for fix in f.fixes)),
        "figures": _figures(table, answers),
    }


def length_bias_of(view: ScoresView, table: ScoreTable, answers: AnswerFacts) -> LengthBias | None:
    """The numbers of the check on length; None where it could not look."""
    c = view.length
    if c is None:
        return None
    won, of = answers.longer_wins
    bounded = c.low == c.low
    return LengthBias(
        bias_severity=abs(c.rho),
        bias_direction="longer" if c.rho > 0 else "shorter",
        correlation=c.rho,
        low=c.low if bounded else None,
        high=c.high if bounded else None,
        samples=c.n,
        prompts=c.groups if view.within else None,
        threshold=view.limits.length_bias,
        confounded=None if view.within else "unknown",
        unit="tokens" if table.counted else "characters",
        longer_wins=(won / of, *wilson(won, of)) if of else None,
    )


def _figures(table: ScoreTable, answers: AnswerFacts) -> dict[str, Any]:
    """The points of the plots, which a report keeps so that it can be drawn again."""
    found = histogram(table.reward[finite_rows(table.reward)])
    made: dict[str, Any] = {"reward": found} if found else {}
    if answers.x is not None and answers.y is not None:
        points = {"x": [round(v, 6) for v in answers.x.tolist()], "y": [round(v, 6) for v in answers.y.tolist()]}
        made["length"] = {**points, "within": answers.within}
    return made


def _notes(table: ScoreTable, answers: AnswerFacts) -> Iterable[Note]:
    for text in table.notes:
        yield Note(topic="data", text=text)
    if table.rejected:
        first = f"; the first: {table.reasons[0]}" if table.reasons else ""
        yield Note(topic="data", text=f"{table.rejected:,} rows could not be read and were left out{first}")
    if answers.looked_at < answers.answers and answers.length is not None:
        text = f"length was looked at in {answers.looked_at:,} of {answers.answers:,} answers, drawn by whole prompts"
        yield Note(topic="sample", text=text)
    if not answers.within and not table.single:
        text = "fewer than ten prompts have several answers, so that correlations are those over all answers"
        yield Note(topic="prompts", text=text)


def _numbers(table: ScoreTable, view: ScoresView) -> dict[str, float | int | None]:
    rows = finite_rows(table.reward)
    reward = table.reward[rows]
    made: dict[str, float | int | None] = {
        "samples": len(table),
        "rewards": len(rows),
        "rejected": table.rejected,
        "reward_mean": float(reward.mean()) if len(rows) else None,
        "reward_std": float(reward.std()) if len(rows) else None,
        "prompts": None if table.prompt is None else len(set(table.prompt[table.prompt >= 0].tolist())),
        "pairs": None if table.pairs is None else len(table.pairs.margin),
        "accuracy": None if view.accuracy is None else view.accuracy.value,
    }
    return made


def _meta(table: ScoreTable) -> dict[str, Any]:
    source = table.source if table.source != "memory" else ""
    return {"run": source.rstrip("/").rpartition("/")[2] or "rewards", "source": source, "columns": dict(table.columns)}
