"""The determinism card of logs: several runs are compared as replicas; one run shows what it records of itself."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rldk.adapters.open import open_runs
from rldk.cards.safe import clean
from rldk.cards.trust.card import made_by, status_of
from rldk.cards.trust.facts import CardCheck
from rldk.cards.trust.status import CardWord
from rldk.cards.trust.subject import manifest_beside, subject_of
from rldk.cards.words import plural, sentence
from rldk.core.manifest import Manifest
from rldk.core.model import Note, Run
from rldk.determinism.card import DeterminismCard, growth_curves, growth_notes, mismatch_table
from rldk.determinism.growth import growth_of
from rldk.engine.compare.classes import MEANING, ReplicaClass, SeedControl, bound, classify, first_mover
from rldk.engine.compare.mismatches import FirstDivergence, mismatches_of
from rldk.engine.compare.replicas import ReplicaSpread, StepChoice, spreads
from rldk.engine.replicas.reading import decimals_of, metrics_to_compare
from rldk.errors import UsageError
from rldk.rules.determinism_flags import FLAGS

MAX_REPLICAS = 200
ONE_RUN = "Whether this run repeats is not known: one run cannot show it."
METHOD = "every metric that is no time or speed, at every step, {how}"
WORDS: dict[ReplicaClass, CardWord] = {"bitwise": "pass", "numerically close": "warn"}


def card_of_runs(
    source: Any, *, field_map: Mapping[str, str] | None, tolerance: float, command: str
) -> DeterminismCard:
    """The card of a source, or of a list of sources. Raises `UsageError` for a tolerance below 0."""
    if not tolerance >= 0:
        raise UsageError(f"the tolerance is {tolerance}", hint="give 0 or more")
    found = _opened(source, field_map)
    if len(found) > MAX_REPLICAS:
        raise UsageError(f"{len(found)} runs cannot be compared", hint=f"name at most {MAX_REPLICAS}")
    records = [manifest_beside(run, name) for name, run in found]
    role = "replica" if len(found) > 1 else "run"
    subjects = tuple(subject_of(run, name, role, record) for (name, run), record in zip(found, records, strict=True))
    runs = [run for _, run in found]
    named = str(source) if isinstance(source, str | os.PathLike) else plural(len(runs), "run")
    made = _replicas(runs, [one.seed for one in subjects], tolerance) if len(runs) > 1 else _one_run()
    checks = (*made.checks, *_record(runs[0], records[0]))
    status = status_of(checks)
    verdict = made.verdict if len(runs) > 1 else f"{ONE_RUN} {_recorded(checks)}"
    facts: dict[str, Any] = {name: getattr(made, name) for name in DeterminismCard.__struct_fields__}
    facts |= {
        "passed": status in ("pass", "warn"),
        "status": status,
        "verdict": verdict,
        "checks": checks,
        "subjects": subjects,
        "command": command or _again(source),
        "made_by": made_by(),
        "environment": _environment(records[0]),
        "meta": {"source": named, "run": runs[0].id if len(runs) == 1 else named},
    }
    return DeterminismCard(**facts)


def _again(source: Any) -> str:
    """The command that prints the card again; "" where the runs are tables in memory."""
    each = source if isinstance(source, list | tuple) else [source]
    if not all(isinstance(one, str | os.PathLike) for one in each):
        return ""
    return shlex.join(["rldk", "card", "determinism", *(clean(str(one), 400) for one in each)])


def _opened(source: Any, field_map: Mapping[str, str] | None) -> list[tuple[Any, Run]]:
    many = list(source) if isinstance(source, list | tuple) and not _is_table(source) else [source]
    made: list[tuple[Any, Run]] = []
    for one in many:
        runs = [one] if isinstance(one, Run) else open_runs(one, field_map=field_map)
        made += [(one if len(runs) == 1 else run.source, run) for run in runs]
    return made


def _is_table(source: Sequence[Any]) -> bool:
    """Whether a list is one run as a list of rows, not a list of runs."""
    return bool(source) and all(isinstance(row, Mapping) for row in source)


def _one_run() -> DeterminismCard:
    reason = "needs a second run of the same command and seed: give both, or use rldk check-determinism"
    check = CardCheck(name="Replicas agree", code="replicas-agree", status="not checked", reason=reason, main=True)
    control = CardCheck(
        name="The seed decides", code="seed-control", status="not checked", reason="needs a run with another seed"
    )
    return DeterminismCard(
        kind="determinism_card", passed=False, status="not checked", replicas=1, checks=(check, control)
    )


def _replicas(runs: Sequence[Run], seeds: Sequence[int | None], tolerance: float) -> DeterminismCard:
    metrics = metrics_to_compare(runs[0], None)
    shared = tuple(name for name in metrics if all(name in run.metrics.columns for run in runs))
    found = spreads([run.metrics for run in runs], metrics, StepChoice(), tolerance)
    whole = len(shared) == len(metrics) and not any(each.missing for each in found)
    apart = {seed for seed in seeds if seed is not None}
    if len(apart) > 1:
        known = ", ".join(str(seed) for seed in sorted(apart)[:6])
        return _other_seeds(f"needs runs of one seed; these have {known}")
    kind = classify(found, tolerance, SeedControl(), whole=whole)
    mover = first_mover(found)
    beyond = [each for each in found if each.beyond is not None or each.missing]
    agrees = whole and not beyond
    status: CardWord = "pass" if agrees else WORDS.get(kind, "fail")
    steps = max((each.steps for each in found), default=0)
    verdict = _verdict(len(runs), len(metrics), steps, kind, mover, agrees=agrees)
    how = "bit by bit" if not tolerance else f"within {tolerance:g} of the value"
    leaves = f"; up to {bound(len(runs)):.0%} of runs may still differ (95 % confidence)" if agrees else ""
    check = CardCheck(
        name="Replicas agree",
        code="replicas-agree" if agrees else "DET001",
        status=status,
        result=_brief(kind, mover, verdict, agrees=agrees),
        value=max((each.share for each in found), default=0.0),
        limit=tolerance,
        unit="of the value",
        n=len(runs),
        of="replicas",
        method=METHOD.format(how=how) + leaves,
        metric=mover.name if mover is not None else "",
        steps=None if mover is None or mover.first_step is None else (mover.first_step, mover.first_step),
        fixes=() if agrees else ("look for the cause: rldk check-determinism --cmd ... names lines of the code",),
        main=True,
    )
    mismatches = mismatches_of(found)
    growth = growth_of([run.metrics for run in runs], found, StepChoice())
    return DeterminismCard(
        kind="determinism_card",
        passed=agrees,
        status=status,
        verdict=verdict,
        checked=metrics,
        notes=(*growth_notes(growth), *_notes(runs[0], metrics, seeds)),
        numbers={"replicas": len(runs), "metrics": len(metrics), "steps": steps, "tolerance": tolerance},
        checks=(check, _seed_control()),
        curves=growth_curves(growth, tolerance),
        tables=(mismatch_table(mismatches),) if mismatches else (),
        classification=kind,
        replicas=len(runs),
        tolerance=tolerance,
        divergence_rate_at_most=round(bound(len(runs)), 4) if agrees else None,
        first_divergence=_first(mover),
        mismatches=mismatches,
    )


def _first(mover: ReplicaSpread | None) -> FirstDivergence | None:
    if mover is None:
        return None
    return FirstDivergence(
        step=mover.first_step or 0, metric=mover.name, share=mover.first_share, values=tuple(mover.values)
    )


def _seed_control() -> CardCheck:
    reason = "needs a run with another seed: rldk check-determinism makes one"
    return CardCheck(name="The seed decides", code="seed-control", status="not checked", reason=reason)


def _other_seeds(reason: str) -> DeterminismCard:
    check = CardCheck(name="Replicas agree", code="replicas-agree", status="not checked", reason=reason, main=True)
    verdict = f"Nothing can be said of repeatability: this {reason}."
    return DeterminismCard(
        kind="determinism_card", passed=False, status="not checked", verdict=verdict, checks=(check, _seed_control())
    )


def _verdict(
    count: int, metrics: int, steps: int, kind: ReplicaClass, mover: ReplicaSpread | None, *, agrees: bool
) -> str:
    looked = f"{plural(metrics, 'metric')} at {plural(steps, 'step')}"
    if agrees:
        how = "agree bit by bit" if kind == "bitwise" else "agree within the tolerance"
        return f"{plural(count, 'run')} {how}: {looked}."
    if mover is None:
        return f"{plural(count, 'run')} did not measure the same metrics at the same steps."
    where = f"from step {mover.first_step or 0:,} on, first in {mover.name}"
    return f"{plural(count, 'run')} of the same seed differ {where}. This is {kind}: {MEANING[kind]}."


def _brief(kind: ReplicaClass, mover: ReplicaSpread | None, verdict: str, *, agrees: bool) -> str:
    """What was seen, beside the verdict that says what it means."""
    if agrees or mover is None:
        return verdict
    return f"They differ from step {mover.first_step or 0:,} on, first in {mover.name}: {kind}."


def _notes(run: Run, metrics: Sequence[str], seeds: Sequence[int | None]) -> Iterator[Note]:
    if None in seeds:
        text = "not every run records its seed, so that they have one seed is your claim, not a fact of the logs"
        yield Note(topic="seeds", text=text)
    decimals = decimals_of(run, metrics)
    if decimals is not None:
        text = f"the log has no value with more than {plural(decimals, 'decimal')}: smaller differences cannot be seen"
        yield Note(topic="rounding", text=text)


def _record(run: Run, record: Manifest) -> Iterator[CardCheck]:
    """What the run records, without which nobody can repeat it."""
    seed = record.seed if record.seed is not None else run.meta.seed
    yield _kept("Seed recorded", "seed-recorded", f"Seed {seed}." if seed is not None else "", "a recorded seed")
    yield _code(run, record)
    packages = record.packages or run.meta.packages
    told = f"{plural(len(packages), 'package')} with exact versions." if packages else ""
    yield _kept("Packages recorded", "packages-recorded", told, "the versions of the packages")
    sampled = [name for name, one in record.datasets.items() if one.sampled]
    told = f"{plural(len(record.datasets), 'dataset')} with a digest of the content." if record.datasets else ""
    data = _kept("Data recorded", "data-recorded", told, "digests of the data")
    yield data if not sampled else _sampled(data, sampled)
    yield _variables(record)


def _kept(name: str, code: str, told: str, lacking: str) -> CardCheck:
    how = "read from run.json or the log"
    if told:
        return CardCheck(name=name, code=code, status="pass", result=told, method=how)
    return CardCheck(name=name, code=code, status="not checked", reason=f"needs {lacking}: rldk track records it")


def _code(run: Run, record: Manifest) -> CardCheck:
    git = record.git
    sha = (git.sha if git is not None else None) or run.meta.git_sha
    if not sha:
        return _kept("Code recorded", "code-recorded", "", "the commit of the code")
    lost = git is not None and bool(git.dirty) and git.diff is None
    if lost:
        text = f"Commit {sha[:12]}, with changes that were not kept."
        fix = ("commit before a run, or let rldk track keep the changes",)
        return CardCheck(name="Code recorded", code="code-recorded", status="warn", result=text, fixes=fix)
    kept = " and its changes are kept" if git is not None and git.dirty else ""
    return _kept("Code recorded", "code-recorded", f"Commit {sha[:12]}{kept}.", "")


def _sampled(data: CardCheck, names: Iterable[str]) -> CardCheck:
    text = f"The digest of {', '.join(names)} is of a part of the rows only."
    return CardCheck(name=data.name, code=data.code, status="warn", result=text, method=data.method)


def _variables(record: Manifest) -> CardCheck:
    """Whether variables that decide determinism were set to values that are fit."""
    name, code = "Deterministic settings", "deterministic-settings"
    given = record.environment.get("variables")
    if not isinstance(given, Mapping):
        reason = "needs the environment variables of the run: rldk track records them"
        return CardCheck(name=name, code=code, status="not checked", reason=reason)
    wrong = [flag for flag in FLAGS if flag.name in given and not flag.accepts(str(given[flag.name]))]
    fit = [flag.name for flag in FLAGS if flag.name in given and flag not in wrong]
    how = "variables that libraries document as needed for repeatable results"
    if wrong:
        said = sentence(f"{', '.join(flag.name for flag in wrong)} is set to a value that lets results vary")
        fixes = tuple(f"set {flag.name}={flag.advice}" for flag in wrong)
        return CardCheck(name=name, code=code, status="warn", result=said, method=how, fixes=fixes)
    text = f"{', '.join(fit)} fit." if fit else "No variable is set to a value that lets results vary."
    return CardCheck(name=name, code=code, status="pass", result=text, method=how)


def _environment(record: Manifest) -> dict[str, Any]:
    keys = ("python", "platform", "machine", "cpus", "variables")
    return {key: record.environment[key] for key in keys if key in record.environment}


def _recorded(checks: Iterable[CardCheck]) -> str:
    """What the run records and what not, in a sentence."""
    each = [check for check in checks if check.code.endswith("-recorded")]
    there = [check.code.removesuffix("-recorded") for check in each if check.status != "not checked"]
    lacking = [check.code.removesuffix("-recorded") for check in each if check.status == "not checked"]
    said = [f"it records {', '.join(there)}"] if there else []
    said += [f"it does not record {', '.join(lacking)}"] if lacking else []
    return sentence("; ".join(said))
