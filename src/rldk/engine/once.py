"""Runs rules over what a run has once, such as its configuration, its environment and its checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from rldk.core.model import Check, CheckStatus, Finding
from rldk.engine.episodes import severity_of
from rldk.engine.views import context_views
from rldk.rules.knobs import CONCEPTS, phrase
from rldk.rules.rule import Context, Rule, Signal
from rldk.rules.subject import BY_ROW, MISSING, WANTS, ConfigView, Subject, SubjectView

# subjects that no log has, with what looks at them: their rules are no gap in the report of a run
BEFORE: Mapping[Subject, str] = {
    "setup": "looked at before a training, by `rldk preflight`",
    "code": "looked at in source code, by `rldk env-audit`",
    "weights": "looked at in two checkpoints, by `rldk diff-ckpt`",
    "replay": "looked at in a replay of a run, by `rldk replay`",
    "resume": "looked at in runs that were stopped and resumed, by `rldk check-resume`",
    "profile": "looked at while a training runs, by `rldk profile`",
    "scores": "looked at in rewards with their answers, by `rldk reward-health`",
    "rescored": "looked at in two scores of the same answers, by `rldk reward-drift`",
    "replicas": "looked at in replicas, by `rldk check-determinism --trace`",
    "answers": "looked at in the answers of an evaluation, by `rldk evals evaluate`",
}


class Once(Struct, kw_only=True):
    """The results of such rules. Each rule is in `checked` or has one entry in `unchecked`."""

    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    unchecked: list[Check] = field(default_factory=list)


def look_once(
    rules: Iterable[Rule],
    context: Context,
    inapplicable: Mapping[str, str],
    views: Mapping[Subject, SubjectView] | None = None,
) -> Once:
    """Checks all rules that do not look at rows.

    `views`: the views of further subjects, where the caller has them; configuration and environment come from the
    context. `inapplicable`: code -> why a rule does not apply to such a run."""
    asked = [rule for rule in rules if rule.subject not in BY_ROW and rule.subject != "records"]
    once = Once()
    if not asked:
        return once
    known = {**context_views(context), **(views or {})}
    for rule in asked:
        view, reason = known.get(rule.subject), inapplicable.get(rule.code, "")
        wants = () if view is None else tuple(need for need in rule.needs if not view.has(need))
        if view is not None and not reason and not wants and rule.unless_view is not None:
            reason = rule.unless_view(view) or ""
        if reason:
            status: CheckStatus = "skipped" if reason.startswith("needs ") else "not_applicable"
            once.unchecked.append(Check(code=rule.code, name=rule.name, status=status, reason=reason))
        elif view is None and rule.subject in BEFORE:
            once.unchecked.append(
                Check(code=rule.code, name=rule.name, status="not_applicable", reason=BEFORE[rule.subject])
            )
        elif view is None or wants:
            once.unchecked.append(_skipped(rule, wants))
        else:
            _look(once, rule, view, context)
    return once


def _skipped(rule: Rule, wants: tuple[str, ...]) -> Check:
    reason = f"needs {WANTS[rule.subject]}"
    if wants:
        words = CONCEPTS if rule.subject == "config" else MISSING[rule.subject]
        where = " in the run's configuration" if rule.subject == "config" else ""
        reason = f"needs {', '.join(words.get(want, want) for want in wants)}{where}"
    return Check(code=rule.code, name=rule.name, status="skipped", reason=reason, needs=wants)


def _look(once: Once, rule: Rule, view: SubjectView, context: Context) -> None:
    try:
        signal = rule.body(view)
    # an unforeseen error in one rule must not cost the whole report
    except (ArithmeticError, ValueError, TypeError) as error:
        reason = f"the rule itself failed: {type(error).__name__}; please report it"
        once.unchecked.append(Check(code=rule.code, name=rule.name, status="skipped", reason=reason))
        return
    once.checked.append(rule.code)
    if signal is not None:
        once.findings.append(_finding(rule, signal, view, context))


def _finding(rule: Rule, signal: Signal, view: SubjectView, context: Context) -> Finding:
    subject = view.key(rule.needs[0]) if isinstance(view, ConfigView) and rule.needs else rule.metric
    return Finding(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=severity_of(rule, signal),
        tier=rule.tier,
        first_step=signal.step,
        last_step=signal.step,
        metric=signal.metric or subject,
        value=signal.value,
        limit=signal.limit,
        message=signal.message,
        rows=0,
        ongoing=True,
        evidence=dict(signal.evidence),
        causes=rule.causes,
        fixes=tuple(phrase(fix, context.framework, context.algorithm) for fix in rule.fixes),
    )
