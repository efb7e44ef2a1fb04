"""Turns what the replicas say about each other into the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from rldk.cards.words import plural
from rldk.core.model import Check, Finding, Note, Run, Severity
from rldk.determinism.facts import ReplicaExperiment, ReplicaOutcome
from rldk.determinism.growth import DifferenceGrowth
from rldk.determinism.replicas import FinishedReplica, ReplicaJob
from rldk.determinism.report import DeterminismReport
from rldk.determinism.suspects import CodeAudit, Suspect, dataloader_notes, ranked_suspects
from rldk.determinism.trace.explaining import LOOKS_LIKE, merged_suspects, trace_findings, traced_suspects, traced_words
from rldk.determinism.trace.facts import OperationTrace
from rldk.engine.compare.classes import MEANING, ReplicaClass, SeedControl, bound, classify, first_mover, replicas_for
from rldk.engine.compare.mismatches import divergence_of, mismatches_of
from rldk.engine.compare.replicas import ReplicaSpread
from rldk.engine.replicas.reading import PLACES, decimals_of
from rldk.provenance.environment import environment
from rldk.rules.chosen import chosen_rules

KIND = "determinism"
PARTED, NO_EFFECT = "DET001", "DET006"
MAX_SUSPECTS = 10
_SOURCES = {"hashes": "hashes", "threads": "threads"}


class Evidence(Struct, frozen=True, kw_only=True):
    """What was measured. `first`: the run of the first replica. `lacking`: metrics that a later replica does not have.

    `same`, `other`: how far replicas of one seed are apart, and how far another seed is; NaN where not known."""

    job: ReplicaJob
    done: tuple[FinishedReplica, ...]
    first: Run
    metrics: tuple[str, ...]
    found: tuple[ReplicaSpread, ...]
    lacking: tuple[str, ...]
    same: float
    other: float
    experiments: tuple[ReplicaExperiment, ...]
    tolerance: float
    code: CodeAudit
    growth: tuple[DifferenceGrowth, ...] = ()
    trace: OperationTrace | None = None

    @property
    def replicas(self) -> list[FinishedReplica]:
        return [one for one in self.done if one.planned.role == "replica"]

    @property
    def broken(self) -> list[FinishedReplica]:
        """The replicas that failed although the first did not."""
        return [one for one in self.replicas if one.problem]


def conclude(e: Evidence) -> DeterminismReport:
    """The report."""
    control = SeedControl(same=e.same, other=e.other)
    whole = not e.broken and not e.lacking and not any(each.missing for each in e.found)
    kind = classify(e.found, e.tolerance, control, whole=whole)
    mover = first_mover(e.found)
    beyond = any(each.beyond is not None for each in e.found)
    agree = whole and not beyond and kind != "seed ignored"
    traced = trace_findings(e.trace, rounding=kind in ("bitwise", "numerically close"))
    passed = agree and (e.tolerance > 0 or e.trace is None or e.trace.equal is not False)
    suspects = _suspected(e, kind, traced)
    findings = (*(() if agree else (_finding(e, kind, mover, suspects),)), *traced)
    steps = max((each.steps for each in e.found), default=0)
    count = len(e.replicas) - len(e.broken)
    return DeterminismReport(
        kind=KIND,
        passed=passed,
        verdict=_verdict(e, kind, mover, passed=agree, count=count, steps=steps),
        findings=findings,
        checked=tuple(e.metrics),
        skipped=tuple(_skipped(e)),
        notes=tuple(_notes(e, passed=passed)),
        numbers={
            "replicas": count,
            "steps": steps,
            "metrics": len(e.metrics),
            "tolerance": e.tolerance,
            "mismatches": sum(each.beyond is not None for each in e.found),
            "largest_share": _finite(max((each.share for each in e.found), default=0.0)),
            "divergence_rate_at_most": round(bound(count), 4) if passed else None,
            "distance_same_seed": _finite(e.same),
            "distance_other_seed": _finite(e.other),
        },
        meta=_meta(e),
        classification=kind,
        culprit=_culprit(suspects, kind),
        fixes=_fixes(suspects, findings),
        replica_variance={each.name: each.variance for each in e.found},
        rng_map=e.code.rng,
        mismatches=mismatches_of(e.found),
        growth=e.growth,
        dataloader_notes=dataloader_notes(e.code),
        skipped_checks=tuple(f"{check.name}: {check.reason}" for check in _skipped(e)),
        first_divergence=None if mover is None else divergence_of(mover),
        suspects=tuple(suspects),
        experiments=e.experiments,
        trace=e.trace,
        replicas=tuple(_ran(one, seeded=e.job.template.has("seed")) for one in e.done),
    )


def _suspected(e: Evidence, kind: ReplicaClass, traced: tuple[Finding, ...]) -> list[Suspect]:
    """What the trace has shown, and after it what the source says, the likeliest first."""
    vanished, stayed = _outcomes(e)
    difference = None if e.trace is None else e.trace.difference
    if difference is None or not traced:
        return ranked_suspects(e.code, kind, vanished, stayed)[:MAX_SUSPECTS]
    shown = traced_suspects(traced, difference)
    more = ranked_suspects(e.code, LOOKS_LIKE[difference.cause], vanished, stayed)
    return merged_suspects(shown, more)[:MAX_SUSPECTS]


def _finding(e: Evidence, kind: ReplicaClass, mover: ReplicaSpread | None, suspects: list[Suspect]) -> Finding:
    """The one finding of a check that did not pass, in the words of the rule about pairs of runs."""
    code = NO_EFFECT if kind == "seed ignored" and mover is None else PARTED
    rule = next(rule for rule in chosen_rules() if rule.code == code)
    severity: Severity = "warn" if kind == "numerically close" or code == NO_EFFECT else "critical"
    return Finding(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=severity,
        tier=rule.tier,
        first_step=None if mover is None else mover.first_step,
        last_step=None if mover is None else mover.first_step,
        metric=e.metrics[0] if mover is None else mover.name,
        value=None if mover is None else _finite(mover.share),
        limit=e.tolerance,
        message=_difference(e, kind, mover),
        evidence={"classification": kind},
        causes=tuple(f"{s.where}: {s.message}" if s.where else s.message for s in suspects) or rule.causes,
        fixes=_fixes(suspects, ()) or rule.fixes,
    )


def _difference(e: Evidence, kind: ReplicaClass, mover: ReplicaSpread | None) -> str:
    """What differs, as a clause."""
    if e.broken:
        return f"the first replica ran well, but {e.broken[0].problem}"
    if e.lacking:
        return f"the first replica measured {e.lacking[0]}, and another did not"
    if kind == "structural":
        each = max(e.found, key=lambda one: one.missing)
        left = plural(each.missing, "value")
        return f"the replicas did not measure {each.name} at the same steps: {left} without a partner"
    if mover is None:
        return f"the seed has no effect: seeds {e.done[0].planned.seed} and {e.done[0].planned.seed + 1} give the same"
    return (
        f"replicas of the same command differ from step {mover.first_step:,} on, first in {mover.name}, "
        f"by {share_words(mover.first_share)} there and {share_words(mover.share)} at most"
    )


def _verdict(
    e: Evidence, kind: ReplicaClass, mover: ReplicaSpread | None, *, passed: bool, count: int, steps: int
) -> str:
    """The sentence that opens the report."""
    if passed:
        how = "agree bit by bit" if kind == "bitwise" else f"agree within {e.tolerance:g} of the value"
        said = f"{plural(count, 'replica')} {how}: {plural(len(e.metrics), 'metric')} at {plural(steps, 'step')}"
        return f"{said}{traced_words(e.trace)}."
    said = _difference(e, kind, mover)
    return f"{said[:1].upper()}{said[1:]}. This is {kind}: {MEANING[kind]}."


def share_words(share: float) -> str:
    """A difference as a share of the value, in words."""
    if math.isinf(share):
        return "a value that is no number"
    return "less than 1e-12 of the value" if share < 1e-12 else f"{share:.2g} of the value"


def _notes(e: Evidence, *, passed: bool) -> Iterator[Note]:
    count = len(e.replicas) - len(e.broken)
    if passed:
        share = bound(count)
        text = (
            f"{count} replicas that agree prove little about rare differences: up to {share:.0%} of runs may still "
            f"differ (95 % confidence); {replicas_for(0.1)} replicas would leave 10 %"
        )
        yield Note(topic="proof", text=text)
    decimals = decimals_of(e.first, e.metrics)
    if decimals is not None:
        text = f"the log has no value with more than {plural(decimals, 'decimal')}: smaller differences cannot be seen"
        yield Note(topic="rounding", text=text)
    ended = sum(one.end.left for one in e.done)
    if ended:
        were = "1 process was" if ended == 1 else f"{ended} processes were"
        yield Note(topic="processes", text=f"{were} left running by replicas that had ended, and had to be ended")
    for text in () if e.trace is None else e.trace.notes:
        yield Note(topic="trace", text=text)
    if e.experiments and passed and any(one.role == "stress" and one.equal is False for one in e.experiments):
        text = "a replica in other surroundings differs: on another machine this command may give other numbers"
        yield Note(topic="stress", text=text)


def _skipped(e: Evidence) -> Iterator[Check]:
    def skipped(name: str, reason: str) -> Check:
        return Check(code=name, name=name, status="skipped", reason=reason)

    control = next((one for one in e.done if one.planned.role == "control"), None)
    if control is None:
        yield skipped("seed control", "needs {seed} in the command")
    elif control.problem:
        yield skipped("seed control", f"needs a replica with another seed that runs: {control.problem}")
    if e.code.reason:
        yield skipped("source of the command", e.code.reason)
    if not any(one.role == "stress" for one in e.experiments):
        yield skipped("other surroundings", "needs --stress")
    if not any(one.role == "counterfactual" for one in e.experiments):
        apart = any(each.unequal for each in e.found)
        reason = "needs --counterfactual" if apart else "needs replicas that differ"
        yield skipped("sources of chance one by one", reason)
    if e.trace is None or e.trace.equal is None:
        reason = "needs --trace" if e.trace is None else e.trace.reason
        yield skipped("operations, weights and gradients", reason)


def _outcomes(e: Evidence) -> tuple[set[str], set[str]]:
    """The sources of chance without which the replicas agreed, and those without which they did not."""
    found = {True: set[str](), False: set[str]()}
    for one in e.experiments:
        if one.role == "counterfactual" and one.equal is not None:
            found[one.equal] |= {name for name, word in _SOURCES.items() if word in one.source}
    if len(found[True]) > 1:  # both agree by chance, or nothing depends on either: it says nothing
        return set(), found[False]
    return found[True], found[False]


def _culprit(suspects: list[Suspect], kind: ReplicaClass) -> str:
    if suspects:
        first = suspects[0]
        return f"{first.where} {first.message} ({first.code}): {first.text}" if first.where else first.message
    return "" if kind == "bitwise" else f"not found in the source; the differences are {kind}"


def _fixes(suspects: list[Suspect], findings: tuple[Finding, ...]) -> tuple[str, ...]:
    made = dict.fromkeys(fix for suspect in suspects[:3] for fix in suspect.fixes)
    return tuple(made) or tuple(fix for finding in findings for fix in finding.fixes)


def _ran(one: FinishedReplica, *, seeded: bool) -> ReplicaOutcome:
    run = one.metrics.run
    return ReplicaOutcome(
        name=one.planned.name,
        role=one.planned.role,
        seed=one.planned.seed if seeded else None,
        code=one.end.code,
        seconds=round(one.end.seconds, 3),
        folder=str(one.folder),
        problem=one.problem,
        rows=0 if run is None else len(run.metrics),
        left=one.end.left,
    )


def _meta(e: Evidence) -> dict[str, Any]:
    template = e.job.template
    words = [*(f"{name}={value}" for name, value in template.variables.items()), *template.words]
    script = template.script(e.job.cwd)
    facts = environment()
    return {
        "run": script.name if script is not None else template.words[0],
        "source": shlex.join(words),
        "metrics": list(e.metrics),
        "read_from": PLACES[e.done[0].metrics.place],
        "format": e.first.meta.format,
        "folder": str(e.job.folder),
        "script": None if script is None else str(script),
        "environment": {key: facts.get(key) for key in ("python", "platform", "machine", "cpus", "variables")},
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
