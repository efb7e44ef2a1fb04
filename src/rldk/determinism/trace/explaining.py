"""What a trace adds to the conclusion of a check: findings, and the likeliest culprit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from rldk.core.model import Finding
from rldk.determinism.suspects import Suspect
from rldk.determinism.trace.facts import OperationTrace
from rldk.engine.compare.classes import ReplicaClass
from rldk.engine.once import look_once
from rldk.rules.chosen import chosen_rules
from rldk.rules.operations import OperationCause, ReplicaTraceView, TracedDifference
from rldk.rules.rule import Context

CERTAIN = 20.0  # the score of what a trace has shown
DOWNSTREAM = 0.5  # that of a draw or a step whose arguments differ: Python has computed them from something else
# what such a difference looks like in metrics, by which suspects in the source are ranked
LOOKS_LIKE: Mapping[OperationCause, ReplicaClass] = {
    "input": "input-level",
    "chance": "input-level",
    "order": "input-level",
    "environment": "input-level",
    "kernel": "chaotic",
    "memory": "input-level",
}
_CLOSE: frozenset[OperationCause] = frozenset({"kernel", "order"})  # what may be rounding only


def trace_findings(trace: OperationTrace | None, *, rounding: bool) -> tuple[Finding, ...]:
    """The finding about the first operation that differs. `rounding`: metrics differ by rounding at most."""
    if trace is None or not (trace.operations or trace.difference):
        return ()
    rules = [rule for rule in chosen_rules() if rule.subject == "replicas"]
    view = ReplicaTraceView(operations=trace.operations or trace.draws, difference=trace.difference)
    found = look_once(rules, Context(), {}, {"replicas": view}).findings
    if rounding and trace.difference is not None and trace.difference.cause in _CLOSE:
        return tuple(replace(finding, severity="warn") for finding in found)
    return tuple(found)


def traced_suspects(findings: Sequence[Finding], difference: TracedDifference) -> list[Suspect]:
    """The culprits that the trace names, the likeliest first: the call that explains the difference, and the event."""
    finding = findings[0]
    made = []
    if difference.origin is not None:
        origin = difference.origin
        said = {None: "draws other numbers", False: "is given no seed", True: "is given another seed each time"}
        made.append(_suspect(finding, f"{origin.what} {said[origin.given]}", CERTAIN + 1, origin.where, origin.text))
    first = difference.first
    if difference.origin is None or difference.origin.where != first.where:
        place = f"the first operation that differs: {first.what}" + (f" in {first.module}" if first.module else "")
        place += "; torch is never seeded before it" if difference.unseeded else ""
        score = CERTAIN if first.direction or difference.cause != "input" else DOWNSTREAM
        made.append(_suspect(finding, place, score, first.where, first.text))
    return made


def merged_suspects(shown: Sequence[Suspect], more: Sequence[Suspect]) -> list[Suspect]:
    """Both, the likeliest first; what the source says about a line that the trace names stands there."""
    said: dict[str, list[Suspect]] = {}
    for one in more:
        said.setdefault(one.where, []).append(one)
    made = []
    for each in shown:
        same = said.pop(each.where, []) if each.where else []
        added = "".join(f"; {one.message} ({one.code})" for one in same)
        fixes = (*(fix for one in same for fix in one.fixes), *each.fixes)
        made.append(replace(each, message=each.message + added, fixes=fixes))
    return sorted([*made, *(one for group in said.values() for one in group)], key=lambda each: -each.score)


def _suspect(finding: Finding, message: str, score: float, where: str, text: str) -> Suspect:
    return Suspect(
        code=finding.code, name=finding.name, message=message, where=where, text=text, score=score, fixes=finding.fixes
    )


def traced_words(trace: OperationTrace | None) -> str:
    """What a trace adds to a verdict about metrics that agree, as the end of its sentence."""
    if trace is None or trace.equal is None:
        return ""
    if trace.equal:
        return f"; so do all {trace.operations:,} traced operations" if trace.operations else "; so do all traced draws"
    found = trace.difference
    said = f": {found.first.words()}" if found is not None else ""
    return f". But two traced replicas differ from optimizer step {trace.step or 0:,} on{said}"
