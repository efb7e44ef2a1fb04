"""The view of a determinism check: the first difference, the likely culprit, how far the replicas are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rldk.cards import words
from rldk.cards.chart import number
from rldk.core.view import Bullets, Charts, Commands, Paragraph, Part, Problem, Section, Table, Tone, View
from rldk.determinism.facts import DeterminismFacts, ReplicaExperiment
from rldk.determinism.growth import growth_curve, growth_words
from rldk.determinism.trace.facts import OperationTrace
from rldk.determinism.trace.section import trace_section
from rldk.engine.compare.mismatches import Mismatch

SHOWN = 10  # metrics and suspects, unless everything is asked for
BADGES: Mapping[Tone, str] = {"critical": "DIFFERS", "warn": "DIFFERS", "ok": "REPEATABLE"}
WORDS = {True: "agrees", False: "differs", None: "not checked"}
NO_NEWS = "differs, as replicas without a change do"


def view_of_determinism(report: DeterminismFacts) -> View:
    """Everything that a renderer may show of the report."""
    worst = report.worst()
    tone: Tone = "ok" if worst is None else worst
    badge = "SEED IGNORED" if report.classification == "seed ignored" else BADGES[tone]
    proof = next((note.text for note in report.notes if note.topic == "proof"), "")
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "command"),
        tone=tone,
        badge=badge,
        banner=report.verdict,
        reserve=words.sentence(proof) if proof else "",
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report, tone)),
        problems=tuple(_problems(report)),
        checked=report.checked,
        unchecked={check.name: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def _sections(report: DeterminismFacts, tone: Tone) -> Iterator[Section]:
    if report.first_divergence is not None:
        yield _first(report, tone)
    traced = None if report.trace is None else trace_section(report.trace, tone)
    if traced is not None:
        yield traced
    if report.suspects:
        yield _suspects(report)
    if report.mismatches:
        yield Section(title="How far apart", parts=(_mismatches(report),))
    if report.growth:
        yield from _growth(report)
    if report.experiments:
        yield Section(title="With one thing changed", parts=(_experiments(report),))
    notes = [note.text for note in report.notes if note.topic != "proof"]
    if notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=tuple(map(words.sentence, notes))),))
    if report.dataloader_notes:
        yield Section(title="Data loaders", parts=(Bullets(items=report.dataloader_notes),), detail=True)
    if generators := tuple(_generators(report)):
        yield Section(
            title="Random generators in the code", parts=(Bullets(items=generators, plain=True),), detail=True
        )
    yield _replicas(report)
    if report.skipped:
        lines = tuple(f"{check.name}: {check.reason}" for check in report.skipped)
        yield Section(title="Not checked", parts=(Bullets(items=lines, plain=True),))
    yield Section(title="Looked at", parts=(Bullets(items=tuple(_looked(report)), plain=True),))
    if commands := tuple(_next(report)):
        yield Section(title="Next", parts=(Commands(lines=commands),))


def _first(report: DeterminismFacts, tone: Tone) -> Section:
    found = report.first_divergence
    assert found is not None  # noqa: S101 - the caller has looked
    names = [one.name for one in report.replicas if one.role == "replica" and not one.problem]
    rows = tuple((name, repr(value)) for name, value in zip(names, found.values, strict=False))
    lines = tuple(f"{name}: {value}" for name, value in rows)
    table = Table(heads=("Replica", found.metric), rows=rows, lines=lines, most=SHOWN)
    return Section(title=f"First difference: {found.metric} at step {found.step:,}", tone=tone, parts=(table,))


def _suspects(report: DeterminismFacts) -> Section:
    items = tuple(
        f"{one.where}  `{one.text}`  {one.message} ({one.code})" if one.where else f"{one.message} ({one.code})"
        for one in report.suspects
    )
    parts: list[Part] = [Bullets(title="In the code, the likeliest first", items=items, ranked=True, most=SHOWN)]
    if report.fixes:
        parts.append(Bullets(title="What to try", items=report.fixes))
    return Section(title="Likely culprit", parts=tuple(parts))


def _mismatches(report: DeterminismFacts) -> Table:
    rows = tuple(
        (
            one.metric,
            "-" if one.step is None else f"{one.step:,}",
            f"{one.unequal:,} of {one.steps:,}",
            number(one.share),
            number(one.ulps),
            f"{one.missing:,}",
        )
        for one in report.mismatches
    )
    lines = tuple(f"{one.metric}: {', '.join(_apart(one))}" for one in report.mismatches)
    heads = ("Metric", "First step", "Unequal steps", "Largest share", "Units of the last place", "Without a partner")
    return Table(heads=heads, rows=rows, lines=lines, most=SHOWN)


def _growth(report: DeterminismFacts) -> Iterator[Section]:
    tolerance = float(report.numbers.get("tolerance") or 0.0)
    said = words.sentence(growth_words(report.growth[0]))
    curves = tuple(growth_curve(one, tolerance) for one in report.growth)
    yield Section(title="How the difference grows", parts=(Paragraph(text=said), Charts(curves=curves)))


def _apart(one: Mismatch) -> Iterator[str]:
    if one.step is not None:
        yield f"from step {one.step:,} on, {one.unequal:,} of {one.steps:,} steps, largest share {number(one.share)}"
    if one.missing:
        yield f"{words.plural(one.missing, 'value')} without a partner"


def _experiments(report: DeterminismFacts) -> Table:
    said = {"stress": "beside the first replica", "counterfactual": "two replicas without it"}
    rows = tuple((one.source, said.get(one.role, one.role), _result(report, one)) for one in report.experiments)
    lines = tuple(f"{source}, {how}: {what}" for source, how, what in rows)
    return Table(heads=("What was changed", "Compared", "Result"), rows=rows, lines=lines)


def _result(report: DeterminismFacts, one: ReplicaExperiment) -> str:
    if one.role == "stress" and one.equal is False and report.first_divergence is not None:
        return NO_NEWS
    return WORDS[one.equal] + (f": {one.message}" if one.message else "")


def _generators(report: DeterminismFacts) -> Iterator[str]:
    for name, said in report.rng_map.items():
        if said["draws"] or said["seeded_at"]:
            seeded = f"at {', '.join(said['seeded_at'])}" if said["seeded_at"] else "nowhere"
            verb = "draws" if said["draws"] == 1 else "draw"
            yield f"{name}: seeded {seeded}; {words.plural(said['draws'], 'place')} {verb} from it"


def _replicas(report: DeterminismFacts) -> Section:
    rows = tuple(
        (
            one.name,
            "-" if one.seed is None else str(one.seed),
            f"{one.rows:,}",
            f"{one.seconds:.1f}",
            one.problem or "ended well",
        )
        for one in report.replicas
    )
    table = Table(heads=("Replica", "Seed", "Rows", "Seconds", "How it ended"), rows=rows)
    failed: Sequence[str] = [one.problem for one in report.replicas if one.problem]
    return Section(title="Replicas", parts=(table,), detail=not failed)


def _looked(report: DeterminismFacts) -> Iterator[str]:
    metrics = report.meta.get("metrics") or []
    named = ", ".join(metrics[:6]) + (" ..." if len(metrics) > 6 else "")
    count = int(report.numbers.get("replicas") or 0)
    yield f"{words.plural(count, 'replica')} of `{report.meta.get('source')}`"
    yield f"{words.plural(len(metrics), 'metric')} from {report.meta.get('read_from')}: {named}"
    if report.trace is not None and report.trace.equal is not None:
        yield _traced(report.trace)
    yield f"all output is kept in {report.meta.get('folder')}"


def _traced(trace: OperationTrace) -> str:
    """What was traced, and how much longer a replica took."""
    counts = [(trace.operations, "operation"), (trace.steps, "optimizer step"), (trace.draws, "draw")]
    named = ", ".join(words.plural(count, name) for count, name in counts if count)
    slower = f", in {trace.seconds:.1f} s instead of {trace.plain_seconds:.1f} s" if trace.plain_seconds else ""
    return f"traced in {words.plural(trace.pairs, 'pair')} of replicas: {named}{slower}"


def _next(report: DeterminismFacts) -> Iterator[str]:
    if report.findings:
        yield f"rldk explain {report.suspects[0].code if report.suspects else report.findings[0].code}"
    if report.meta.get("script") and report.findings:
        yield f"rldk env-audit {report.meta['script']}"


def _line(report: DeterminismFacts) -> int | None:
    """The line of the likeliest culprit, where it stands in the script itself."""
    where = report.suspects[0].where if report.suspects else ""
    name, _, line = where.rpartition(":")
    return int(line) if name and name == Path(str(report.meta.get("script") or "")).name else None


def _problems(report: DeterminismFacts) -> Iterator[Problem]:
    for finding in report.findings:
        step = finding.first_step
        yield Problem(
            code=finding.code,
            name=finding.name,
            severity=finding.severity,
            message=finding.message,
            source=str(report.meta.get("script") or ""),
            line=_line(report),
            steps=None if step is None else (step, step),
            metric=finding.metric,
            value=finding.value,
            limit=finding.limit,
            causes=finding.causes,
            fixes=finding.fixes,
        )
