"""Turns what the engine saw into a Report. It is called once at the end of a run, or at any moment of a live one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from rldk.core.codec import to_builtins
from rldk.core.model import Check, CheckStatus, Finding, Note, Report
from rldk.engine.episodes import Episode, severity_of
from rldk.engine.evaluate import BoundRule
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.engine.report.health import health
from rldk.engine.report.incidents import Placed, group, join_simultaneous, lower_unsupported
from rldk.engine.report.outlook import outlook
from rldk.engine.report.story import turn
from rldk.engine.report.understanding import understanding
from rldk.engine.report.verdict import verdict
from rldk.rules.knobs import phrase
from rldk.rules.rule import Context, Rule
from rldk.rules.subject import BY_ROW, WANTS, Subject, SubjectView


def build_report(
    engine: Engine,
    rules: tuple[Rule, ...],
    *,
    meta: dict[str, Any],
    numbers: dict[str, float | int | None],
    views: Mapping[Subject, SubjectView] | None = None,
) -> Report:
    """The report of all rows fed so far. Notes are the episodes of rules registered by `@normal`.

    `views`: what rules see that do not look at rows, beside configuration and environment."""
    bound_rules = engine.bound_rules()
    state = health(engine)
    understood = understanding(engine.census, engine.context, engine.rows, samples=engine.samples.samples)
    placed = [
        place(bound, episode, engine.context)
        for bound in bound_rules
        if not bound.rule.note
        for episode in bound.episodes.all()
    ]
    asked = _asked(engine, rules, bound_rules, views)
    placed += [Placed(finding, _row_of(finding, engine), engine.rows) for finding in asked.findings]
    findings, incidents = group(lower_unsupported(join_simultaneous(placed)))
    checked, skipped = asked.checked, asked.skipped
    return Report(
        kind="diagnosis",
        passed=understood.state != "not" and all(f.severity != "critical" for f in findings),
        verdict=verdict(
            incidents,
            findings,
            understood,
            rows=engine.rows,
            last_step=engine.last_step,
            checked=len(checked),
            unchecked=len(skipped),
        ),
        findings=findings,
        incidents=incidents,
        checked=checked,
        skipped=skipped,
        notes=_notes(bound_rules),
        understanding=understood,
        numbers={
            "rows": engine.rows,
            **({"samples": engine.samples.samples} if engine.samples.samples else {}),
            "first_step": engine.first_step,
            "last_step": engine.last_step,
            # a probability of being healthy says nothing about a run whose goal no rule looked at
            "health": state.overall if understood.goal else None,
            "stability": state.stability if understood.goal else None,
            **numbers,
        },
        meta={**meta, "evidence": dict(state.evidence), "outlook": to_builtins(outlook(engine))},
    )


class _Asked(NamedTuple):
    """What came of rules: findings of those that look once, the codes of all that could look, and why others did
    not."""

    findings: Sequence[Finding]
    checked: tuple[str, ...]
    skipped: tuple[Check, ...]


def _asked(
    engine: Engine, rules: tuple[Rule, ...], bound: list[BoundRule], views: Mapping[Subject, SubjectView] | None
) -> _Asked:
    """What came of the rules. Runs that were looked at together share what they have alike (see `Engine.shared`)."""
    once = _shared(
        engine, views, id(engine.context), lambda: look_once(rules, engine.context, engine.inapplicable, views)
    )
    key = id(engine.inapplicable), tuple(once.checked), tuple([(w.ready, w.looks, w.failure) for w in bound])
    checked, unchecked = _shared(engine, views, key, lambda: _work_out(engine, rules, bound, once))
    return _Asked(once.findings, checked, (*unchecked, *once.unchecked))


Shared = TypeVar("Shared")


def _shared(
    engine: Engine, views: Mapping[Subject, SubjectView] | None, key: object, make: Callable[[], Shared]
) -> Shared:
    if engine.shared is None or views:
        return make()
    found: Shared | None = engine.shared.get(key)
    if found is None:
        found = engine.shared[key] = make()
    return found


def _work_out(
    engine: Engine, rules: tuple[Rule, ...], bound: list[BoundRule], once: Once
) -> tuple[tuple[str, ...], tuple[Check, ...]]:
    """The codes of all rules that could look, and why those over rows and samples did not."""
    failed = {w.rule.code for w in bound if w.failure}
    checked = tuple(sorted({w.rule.code for w in bound if w.ready and not w.rule.note} - failed | {*once.checked}))
    by_row = [r for r in rules if r.subject in BY_ROW and r.code not in checked and not r.note]
    of_samples = engine.samples.unchecked(rules, engine.inapplicable)
    return checked, (*_unchecked_rules(engine, by_row, bound), *of_samples)


def place(bound: BoundRule, episode: Episode, context: Context) -> Placed:
    """The finding of an episode, with the row numbers of its range."""
    rule, signal = bound.rule, episode.signal
    metric = signal.metric or bound.metric
    evidence = dict(signal.evidence)
    message = signal.message
    if episode.worse is not None and episode.worse_step is not None:
        evidence["worse_from"], evidence["began_as"] = episode.worse_step, severity_of(rule, signal)
        message += f"{turn(episode.worse_step)}{episode.worse.message}"
    if metric in context.names and context.names[metric] != metric:
        evidence.setdefault("logged_as", context.names[metric])
    finding = Finding(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=bound.episodes.severity(episode),
        tier=rule.tier,
        first_step=episode.first_step,
        last_step=episode.last_step,
        metric=metric,
        value=signal.value,
        limit=signal.limit,
        message=message,
        onset=episode.onset,
        rows=episode.rows,
        ongoing=not episode.recovered,
        evidence=evidence,
        causes=rule.causes,
        fixes=tuple(phrase(fix, context.framework, context.algorithm) for fix in rule.fixes),
    )
    back_at = episode.back_at
    regained = back_at is not None and episode.gravest.before is not None
    return Placed(finding, episode.first_row, episode.last_row, back_at, regained, rule.unnamed)


def _row_of(finding: Finding, engine: Engine) -> int:
    """About which row a finding begins at that no rule over rows made: 0 without a step."""
    first, last = engine.first_step, engine.last_step
    if finding.first_step is None or first is None or last <= first:
        return 0
    share = (finding.first_step - first) / (last - first)
    return round(min(max(share, 0.0), 1.0) * engine.rows)


def _unchecked_rules(engine: Engine, rules: Iterable[Rule], bound_rules: Iterable[BoundRule]) -> list[Check]:
    own: dict[str, list[BoundRule]] = {}
    for bound in bound_rules:
        own.setdefault(bound.rule.code, []).append(bound)
    return [_unchecked(engine, r, [w for w in own.get(r.code, ()) if w.rule is r]) for r in rules]


def _unchecked(engine: Engine, rule: Rule, own: list[BoundRule]) -> Check:
    """Why a rule gave no verdict. What a user can mend comes first. `own`: the rule on its metrics."""
    if rule.code in engine.inapplicable:
        reason = engine.inapplicable[rule.code]
        status: CheckStatus = "skipped" if reason.startswith("needs ") else "not_applicable"
        return Check(code=rule.code, name=rule.name, status=status, reason=reason)
    seen = engine.seen_metrics(rule.phase)
    missing = tuple(n for n in (*rule.needs, *rule.also) if n not in seen)
    if not missing and rule.unnamed and not own:
        reason = "needs a column whose name rldk does not know"
        return Check(code=rule.code, name=rule.name, status="skipped", reason=reason)
    if not missing and rule.each and not own:
        more = f" (or {len(rule.each) - 3} more)" if len(rule.each) > 3 else ""
        missing = (" or ".join(rule.each[:3]) + more,)
    if missing and rule.subject != "rows":
        reason = f"needs {', '.join(missing)}, computed from {WANTS[rule.subject]}"
        return Check(code=rule.code, name=rule.name, status="skipped", reason=reason, needs=missing)
    if missing:
        return Check(
            code=rule.code, name=rule.name, status="skipped", reason=f"needs {', '.join(missing)}", needs=missing
        )
    failure = next((w.failure for w in own if w.failure), None)
    if failure:
        reason = f"the rule itself failed: {failure}; please report it"
        return Check(code=rule.code, name=rule.name, status="skipped", reason=reason)
    looks = max((w.looks for w in own), default=0)
    if looks == 0:
        reason = f"needs {', '.join(rule.needs)} on one row" if len(rule.needs) > 1 else "needs finite values"
        return Check(code=rule.code, name=rule.name, status="skipped", reason=reason, needs=rule.needs)
    reason = f"needs more rows: only {looks} had what the rule looks at"
    return Check(code=rule.code, name=rule.name, status="skipped", reason=reason, needs=rule.needs)


def _notes(bound_rules: list[BoundRule]) -> tuple[Note, ...]:
    seen: dict[str, Note] = {}
    for bound in bound_rules:
        if bound.rule.note:
            for episode in bound.episodes.all()[:1]:
                text = episode.signal.message or bound.rule.page.what
                seen.setdefault(bound.rule.code, Note(topic=bound.rule.code, text=text))
    return tuple(seen.values())
