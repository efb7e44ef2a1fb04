"""Whether the evaluation measures what it says: what rules find in its answers, results and cases."""

from __future__ import annotations

from rldk.core.stats.estimates import Estimate
from rldk.evals.facts import Measurement, MeasureState, lacking, measured
from rldk.evals.registry import EvalOptions, evaluation
from rldk.evals.table import EvalTable

TITLE = "Soundness of the evaluation"


@evaluation("soundness", title=TITLE)
def soundness(table: EvalTable, options: EvalOptions) -> Measurement:
    """What the rules of the family EVAL find in the answers: results that are not found or are cut off, right answers
    that count as wrong, copies, ids of several prompts, samples without a score, scores that guessing reaches.

    A warning of a rule warns; a remark is shown and does not count. `rldk explain EVAL011` says what a rule looks at
    and when it is wrong."""
    from rldk.engine.live import Engine
    from rldk.engine.once import look_once
    from rldk.evals.answer_facts import answer_facts
    from rldk.rules.chosen import chosen_rules
    from rldk.rules.rule import Context

    rules = [rule for rule in chosen_rules("default", None, None) if rule.subject == "answers"]
    context = Context()
    view = answer_facts(table, seed=options.seed)
    once = look_once(rules, context, Engine(rules, context).inapplicable, {"answers": view})
    if not once.checked:
        reason = "needs fifty answers that are right or wrong, or thirty with their right answers, results or prompts"
        return lacking("soundness", TITLE, reason, ("correct|gold|parsed|finish_reason|error|prompt",))
    loud = [f for f in once.findings if f.severity != "info"]
    status: MeasureState = "warn" if loud else "pass"
    return measured(
        "soundness", TITLE, status, Estimate(value=float(len(loud)), n=table.rows, method="rules of the family EVAL"),
        rule="at most 0 warnings", reason="; ".join(f"{f.code} {f.message}" for f in loud[:3]),
        details={"codes": [f.code for f in once.findings], "checked": sorted(once.checked)},
        findings=tuple(sorted(once.findings, key=lambda f: (f.severity == "info", f.code))),
    )  # fmt: skip
