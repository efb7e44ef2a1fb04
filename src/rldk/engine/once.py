"""Runs rules over what a run has once, such as its configuration and its environment. They have no step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from rldk.core.model import Check, CheckStatus, Finding
from rldk.rules.knobs import CONCEPTS, keys_of, phrase
from rldk.rules.rule import Context, Rule, Signal
from rldk.rules.subject import BY_ROW, WANTS, ConfigView, Subject


class Once(Struct, kw_only=True):
    """The results of such rules. Each rule is in `checked` or has one entry in `unchecked`."""

    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    unchecked: list[Check] = field(default_factory=list)


def config_view(context: Context) -> ConfigView:
    """The configuration as rules see it, by concept and by key."""
    return ConfigView(
        values=context.config,
        keys={concept: keys_of(concept) for concept in CONCEPTS},
        algorithm=context.algorithm,
        framework=context.framework,
        total_steps=context.total_steps,
    )


def look_once(
    rules: Iterable[Rule], context: Context, inapplicable: Mapping[str, str], views: Mapping[Subject, Any] | None = None
) -> Once:
    """Checks all rules that do not look at rows.

    `views`: the views of further subjects, where the caller has them. `inapplicable`: code -> why a rule does not apply
    to such a run."""
    asked = [rule for rule in rules if rule.subject not in BY_ROW]
    once = Once()
    if not asked:
        return once
    known: dict[Subject, Any] = {**({"config": config_view(context)} if context.config else {}), **(views or {})}
    for rule in asked:
        view, reason = known.get(rule.subject), inapplicable.get(rule.code, "")
        wants = () if view is None else tuple(need for need in rule.needs if not _has(view, need))
        if reason:
            status: CheckStatus = "skipped" if reason.startswith("needs ") else "not_applicable"
            once.unchecked.append(Check(code=rule.code, name=rule.name, status=status, reason=reason))
        elif view is None or wants:
            once.unchecked.append(_skipped(rule, wants))
        else:
            _look(once, rule, view, context)
    return once


def _has(view: Any, need: str) -> bool:
    """Whether the view has the input that the rule needs."""
    return bool(view.key(need)) if isinstance(view, ConfigView) else getattr(view, need, None) is not None


def _skipped(rule: Rule, wants: tuple[str, ...]) -> Check:
    reason = f"needs {WANTS[rule.subject]}"
    if wants:
        said = ", ".join(CONCEPTS.get(want, want) for want in wants)
        where = " in the run's configuration" if rule.subject == "config" else ""
        reason = f"needs {said}{where}"
    return Check(code=rule.code, name=rule.name, status="skipped", reason=reason, needs=wants)


def _look(once: Once, rule: Rule, view: Any, context: Context) -> None:
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


def _finding(rule: Rule, signal: Signal, view: Any, context: Context) -> Finding:
    subject = view.key(rule.needs[0]) if isinstance(view, ConfigView) and rule.needs else rule.metric
    return Finding(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=signal.severity or rule.severity,
        tier=rule.tier,
        first_step=None,
        last_step=None,
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
