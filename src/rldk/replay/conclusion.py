"""Turns what a replay has shown into the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from rldk.cards.words import plural
from rldk.core.audit.outcome import CheckOutcome
from rldk.core.model import SEVERITIES, Check, Finding, Note
from rldk.engine.compare.classes import MEANING, first_mover
from rldk.engine.compare.mismatches import divergence_of, mismatches_of
from rldk.engine.compare.replicas import ReplicaSpread
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.engine.replicas.command import CommandTemplate
from rldk.engine.replicas.reading import PLACES, decimals_of
from rldk.engine.replicas.trial import CommandTrial
from rldk.replay.code import ReplayCode
from rldk.replay.comparison import ReplayComparison
from rldk.replay.environment import ReplayEnvironment
from rldk.replay.facts import ReplayStatistics
from rldk.replay.original import OriginalRun
from rldk.replay.report import ReplayReport
from rldk.rules.chosen import chosen_rules
from rldk.rules.replays import ReplayView
from rldk.rules.rule import Context

KIND = "replay"


class ReplayEvidence(Struct, frozen=True, kw_only=True):
    """Everything that was seen of a run and its replay."""

    original: OriginalRun
    code: ReplayCode
    environment: ReplayEnvironment
    inputs: tuple[CheckOutcome, ...]
    trial: CommandTrial
    compared: ReplayComparison
    linked: tuple[str, ...] = ()


def conclude_replay(e: ReplayEvidence, template: CommandTemplate, tolerance: float) -> ReplayReport:
    """The report."""
    compared = e.compared
    once = _judged(e, tolerance)
    findings = tuple(sorted(once.findings, key=lambda f: (-SEVERITIES.index(f.severity), f.code)))
    passed = not any(f.code in ("DET080", "DET082") for f in findings)
    mover = first_mover(compared.found)
    seeds = {"original": e.original.seed, "replay": _replay_seed(e, template)}
    return ReplayReport(
        kind=KIND,
        passed=passed,
        verdict=_verdict(e, mover, tolerance, findings, passed=passed),
        findings=findings,
        checked=tuple(sorted(once.checked)),
        skipped=tuple(_skipped(e, once)),
        notes=tuple(_notes(e, template, seeds)),
        numbers={
            "steps": compared.steps,
            "metrics": len(compared.metrics),
            "tolerance": tolerance,
            "mismatches": sum(each.beyond is not None for each in compared.found),
            "largest_share": _finite(max((each.share for each in compared.found), default=0.0)),
            "seconds": round(e.trial.end.seconds, 3),
        },
        meta=_meta(e),
        original_seed=seeds["original"],
        replay_seed=seeds["replay"],
        metrics_compared=compared.metrics,
        tolerance=tolerance,
        mismatches=mismatches_of(compared.found),
        original_metrics=compared.original,
        replay_metrics=compared.replay,
        comparison_stats={each.name: _statistics(each) for each in compared.found},
        replay_command=shlex.join(e.trial.command),
        replay_duration=round(e.trial.end.seconds, 3),
        classification=compared.classification,
        first_divergence=None if mover is None else divergence_of(mover),
        drift=e.environment.drift or (),
        machine=e.environment.machine,
        inputs=e.inputs,
        lacking_code=e.code.lacking or (),
        not_vouched=tuple(_not_vouched(e)),
    )


def _judged(e: ReplayEvidence, tolerance: float) -> Once:
    found = e.compared.found
    ordered = sorted(found, key=lambda each: -each.first_share)
    view = ReplayView(
        classification=e.compared.classification,
        compared=len(e.compared.metrics),
        beyond=tuple((each.name, each.beyond) for each in ordered if each.beyond is not None),
        missing=e.compared.missing,
        share=max((each.share for each in found), default=0.0),
        tolerance=tolerance,
        drift=e.environment.drift,
        inputs=e.inputs,
        lacking=e.code.lacking,
    )
    rules = tuple(rule for rule in chosen_rules() if rule.subject == "replay")
    context = Context()
    return look_once(rules, context, Engine(rules, context).inapplicable, {"replay": view})


def _verdict(
    e: ReplayEvidence,
    mover: ReplicaSpread | None,
    tolerance: float,
    findings: tuple[Finding, ...],
    *,
    passed: bool,
) -> str:
    compared = e.compared
    size = f"{plural(len(compared.metrics), 'metric')} at {plural(compared.steps, 'step')}"
    differs = next((f for f in findings if f.code == "DET080"), None)
    if differs is None:
        how = "bit by bit" if compared.classification == "bitwise" else f"within {tolerance:g} of the value"
        said = f"The replay gives the numbers of the original {how}: {size}."
        if mover is not None:
            said += f" The largest difference is {compared_share(mover.share)}, in {mover.name}."
    else:
        kind = compared.classification
        said = f"{differs.message[:1].upper()}{differs.message[1:]}."
        said += "" if kind == "structural" else f" This is {kind}: {MEANING[kind]}."
    others = [f.message for f in findings if f.code != "DET080"]
    if others and not passed:
        said += f" Before the program is blamed: {'; '.join(others)}."
    return said


def compared_share(share: float) -> str:
    """A difference in words."""
    return "a value that is no number" if math.isinf(share) else f"{share:.2g} of the value"


def _not_vouched(e: ReplayEvidence) -> Iterator[str]:
    record = e.original.record
    if record is None:
        yield "the run has no record of rldk, so that nobody can vouch for its code, packages, data and seed"
        return
    if e.code.commit is None:
        yield "the record names no commit, so that nobody can vouch for the code"
    if not record.packages:
        yield "the record names no packages"
    elif e.environment.drift is None:
        yield "the packages of the command are not known, since it does not start with python"
    if e.linked:
        yield f"{', '.join(e.linked[:5])} {'were' if len(e.linked) > 1 else 'was'} linked as it is now"
    if not (record.datasets or record.models or record.tokenizers):
        yield "the record names no data and no weights"
    elif left := [one.name for one in e.inputs if one.status == "not_checked"]:
        yield f"{', '.join(left[:5])} could not be verified"


def _notes(e: ReplayEvidence, template: CommandTemplate, seeds: Mapping[str, int | None]) -> Iterator[Note]:
    if not template.has("seed"):
        yield Note(topic="seed", text="the command has no {seed}: it must seed itself as the original did")
    elif None not in seeds.values() and seeds["original"] != seeds["replay"]:
        text = f"the replay had the seed {seeds['replay']}, the original {seeds['original']}"
        yield Note(topic="seed", text=text)
    if e.code.commit is None:
        text = f"the command ran with the code that is in {e.code.tree} now"
        yield Note(topic="code", text=text)
    decimals = decimals_of(e.original.run, e.compared.metrics)
    if decimals is not None:
        text = f"the log has no value with more than {plural(decimals, 'decimal')}: smaller differences cannot be seen"
        yield Note(topic="rounding", text=text)
    if e.compared.last is not None:
        yield Note(topic="steps", text=f"only steps up to {e.compared.last:,} were compared")
    if e.trial.end.left:
        yield Note(topic="processes", text=f"{e.trial.end.left} processes were left running, and had to be ended")
    if e.environment.built is not None:
        text = "the recorded packages were built; system libraries, driver and hardware are those of this machine"
        yield Note(topic="environment", text=text)


def _skipped(e: ReplayEvidence, once: Once) -> Iterator[Check]:
    yield from sorted(once.unchecked, key=lambda check: check.code)
    for one in e.inputs:
        if one.status == "not_checked":
            name = f"{one.part} {one.name}"
            yield Check(code=name, name=name, status="skipped", reason=one.message)


def _replay_seed(e: ReplayEvidence, template: CommandTemplate) -> int | None:
    said = e.trial.plan.values.get("seed")
    return int(said) if said is not None and template.has("seed") else None


def _statistics(each: ReplicaSpread) -> ReplayStatistics:
    return ReplayStatistics(
        steps=each.steps, unequal=each.unequal, largest_share=each.share, ulps=each.ulps, missing=each.missing
    )


def _meta(e: ReplayEvidence) -> dict[str, Any]:
    return {
        "run": e.original.run.id,
        "source": str(e.original.path),
        "commit": e.code.commit,
        "read_from": PLACES.get(e.trial.metrics.place, e.trial.metrics.place),
        "folder": str(e.trial.plan.folder),
        "python": e.environment.facts.python if e.environment.facts is not None else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
