"""The checks of a report on rewards: which rules and facts each one is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from rldk.core.model import Check, Finding
from rldk.core.stats.estimates import Coupling, Estimate
from rldk.reward.facts import CheckState, HealthCheck
from rldk.rules.catalogue.scores.reward_ensemble import APART
from rldk.rules.score_view import ScoresView

Number = tuple[float, float | None, float | None, int, str]  # value, low, high, n, method


class CheckPlan(Struct, frozen=True):
    """One check: the rules in it, the facts they need, and the number that stands for it."""

    codes: tuple[str, ...]
    facts: tuple[str, ...]
    number: Callable[[ScoresView], Number | None]
    limit: Callable[[ScoresView], float | None] = lambda s: None  # noqa: ARG005 - a check without a limit


def check_of(
    name: str,
    plan: CheckPlan,
    view: ScoresView,
    findings: Iterable[Finding],
    unchecked: Mapping[str, Check],
    *,
    selected: bool = True,
) -> HealthCheck:
    """The check as a value. It is not available where none of its rules could look. `selected`: whether any of its
    rules was asked for."""
    found = [f for f in findings if f.code in plan.codes]
    looked = [code for code in plan.codes if code not in unchecked]
    lacking = [unchecked[code].reason for code in plan.codes if code in unchecked] if selected else []
    number = plan.number(view) if looked else None
    state: CheckState = "not_available"
    if looked:
        failing = any(f.evidence.get("status") == "fail" for f in found)
        state = "fail" if failing else "warn" if found else "pass"
    reason = "; ".join(f.message for f in found) if found else "" if looked else _joined(lacking)
    return HealthCheck(
        name=name,
        status=state,
        reason=reason,
        value=None if number is None else _known(number[0]),
        low=None if number is None else _known(number[1]),
        high=None if number is None else _known(number[2]),
        limit=plan.limit(view) if looked else None,
        n=None if number is None else number[3],
        method="" if number is None else number[4],
        needs=tuple(dict.fromkeys(need.removeprefix("needs ") for need in lacking)),
        codes=plan.codes,
        selected=selected,
    )


def _joined(reasons: Iterable[str]) -> str:
    words = [reason.removeprefix("needs ") for reason in dict.fromkeys(reasons)]
    return f"needs {', or '.join(words)}" if words else "not selected"


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else value


def _of_estimate(e: Estimate | None) -> Number | None:
    return None if e is None else (e.value, e.low, e.high, e.n, e.method)


def _of_coupling(c: Coupling | None, *, within: bool) -> Number | None:
    method = "rank correlation among the answers to a prompt" if within else "rank correlation over all answers"
    return None if c is None else (c.rho, c.low, c.high, c.n, f"{method}, cluster-robust")


def _drift(s: ScoresView) -> Number | None:
    if s.drift is not None:
        how = "Wasserstein distance in standard deviations, permutation of prompts"
        return s.drift.distance, None, None, s.drift.n, how
    if s.start is None:
        return None
    mean = s.start.mean
    return (
        mean.value,
        mean.low,
        mean.high,
        s.start.n,
        "mean of the last fifth minus that of the first, in standard deviations",
    )


def _drift_limit(s: ScoresView) -> float | None:
    """Away from the reference is bad in both directions, and from the start downwards only."""
    return s.limits.drift if s.drift is not None else -s.limits.drift


def _saturation(s: ScoresView) -> Number | None:
    return _of_estimate(s.bound.share) if s.bound else _of_estimate(s.flat_groups)


def _calibration(s: ScoresView) -> Number | None:
    c = s.calibration
    return _of_estimate(s.accuracy) if c is None else (c.score, None, None, c.n, "1 - 2 * ECE over ten bins")


def _shortcut(s: ScoresView) -> Number | None:
    every = [*(s.shortcuts or ()), *(s.words or ())]
    bounded = [one.coupling for one in every if one.coupling.least == one.coupling.least]
    if s.position is not None:
        bounded.append(s.position)
    strongest = max(bounded, key=lambda c: c.least, default=None)
    return _of_coupling(strongest, within=s.within)


def _leakage(s: ScoresView) -> Number | None:
    both = [e for e in (s.overlap, s.memorised) if e is not None]
    return _of_estimate(max(both, key=lambda e: e.value, default=None))


def _shift(s: ScoresView) -> Number | None:
    d = s.shift
    return None if d is None else (d.distance, None, None, d.n, "Wasserstein distance in standard deviations")


def _course(s: ScoresView) -> Number | None:
    return None if s.course is None else _of_estimate(s.course.gold)


def _ensemble(s: ScoresView) -> Number | None:
    return None if s.disagreement is None else _of_estimate(s.disagreement.top)


PLANS: Mapping[str, CheckPlan] = {
    "drift": CheckPlan(("RM027", "RM028"), ("drift", "start"), _drift, _drift_limit),
    "saturation": CheckPlan(("RM025", "RM026"), ("bound", "flat_groups"), _saturation, lambda s: s.limits.saturation),
    "calibration": CheckPlan(("RM023", "RM024"), ("calibration", "accuracy"), _calibration,
                             lambda s: s.limits.calibration),
    "shortcuts": CheckPlan(("RM020", "RM021", "RM022", "RM002"), ("shortcuts", "position", "words", "style_gap"),
                           _shortcut, lambda s: s.limits.shortcut),
    "label_leakage": CheckPlan(("EVAL006", "EVAL007"), ("overlap", "memorised"), _leakage, lambda s: s.limits.leakage),
    "length_bias": CheckPlan(("LEN020",), ("length",), lambda s: _of_coupling(s.length, within=s.within),
                             lambda s: s.limits.length_bias),
    "overoptimization": CheckPlan(("RM029",), ("course",), _course),
    "ensemble": CheckPlan(("RM033",), ("disagreement",), _ensemble, lambda _: APART),
    "label_noise": CheckPlan(("DATA050", "DATA053"), ("noise", "contradictions"),
                             lambda s: _of_estimate(s.noise or s.contradictions)),
    "data_imbalance": CheckPlan(("DATA051",), ("balance",), lambda s: _of_estimate(s.balance)),
    "distribution_shift": CheckPlan(("EVAL008",), ("shift",), _shift),
    "missing_rewards": CheckPlan(("DATA052",), ("missing",), lambda s: _of_estimate(s.missing)),
}  # fmt: skip
