"""The view of a replay: the first difference, how far apart, what else is not as recorded."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rldk.cards import words
from rldk.cards.chart import number
from rldk.core.audit.lock import LockDifference
from rldk.core.view import Bullets, Commands, Problem, Section, Table, Tone, View
from rldk.replay.facts import ReplayFacts

SHOWN = 10  # lines of a list, unless everything is asked for


def view_of_replay(report: ReplayFacts) -> View:
    """Everything that a renderer may show of the report."""
    worst = report.worst()
    tone: Tone = ("warn" if worst == "warn" else "ok") if report.passed else ("warn" if worst == "warn" else "critical")
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "replay"),
        tone=tone,
        badge="REPLAYED" if report.passed else "DIFFERS",
        banner=report.verdict,
        reserve=words.sentence("; ".join(report.not_vouched)) if report.not_vouched else "",
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report, tone)),
        problems=tuple(_problems(report)),
        checked=report.checked,
        unchecked={check.name: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def _sections(report: ReplayFacts, tone: Tone) -> Iterator[Section]:
    first = report.first_divergence
    if first is not None and not report.passed:
        rows = tuple(zip(("original", "replay"), map(repr, first.values), strict=False))
        lines = tuple(f"{name}: {value}" for name, value in rows)
        table = Table(heads=("Run", first.metric), rows=rows, lines=lines)
        yield Section(title=f"First difference: {first.metric} at step {first.step:,}", tone=tone, parts=(table,))
    for finding in report.findings:
        if finding.code != "DET080":
            yield _finding(report, finding.code, finding.message, tone_of_finding=finding.severity)
    yield Section(title="How far apart", parts=(_apart(report),), detail=report.passed)
    if report.machine:
        yield Section(title="Machine and variables that differ", parts=(_differences(report.machine),))
    notes = tuple(words.sentence(note.text) for note in report.notes)
    if notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=notes),))
    if report.skipped:
        lines = tuple(f"{check.name}: {check.reason}" for check in report.skipped)
        yield Section(title="Not checked", parts=(Bullets(items=lines, plain=True),))
    yield Section(title="Looked at", parts=(Bullets(items=tuple(_looked(report)), plain=True),))
    if not report.passed:
        source = shlex.quote(str(report.meta.get("source") or "RUN"))
        lines = ("rldk explain DET080", *((f"rldk verify {source}",) if report.meta.get("commit") else ()))
        yield Section(title="Next", parts=(Commands(lines=lines),))


def _finding(report: ReplayFacts, code: str, message: str, *, tone_of_finding: Tone) -> Section:
    items = {
        "DET081": _texts(report.drift),
        "DET082": tuple(f"{one.part} {one.name}: {one.message}" for one in report.inputs if one.status == "failed"),
        "DET083": report.lacking_code,
    }.get(code, ())
    parts = (Bullets(items=items, plain=True, most=SHOWN),) if items else ()
    return Section(title=words.sentence(message).rstrip("."), tone=tone_of_finding, code=code, parts=parts)


def _texts(found: tuple[LockDifference, ...]) -> tuple[str, ...]:
    return tuple(f"{one.name}: {one.locked or 'not there'} then, {one.now or 'not there'} now" for one in found)


def _differences(found: tuple[LockDifference, ...]) -> Bullets:
    return Bullets(items=_texts(found), plain=True, most=SHOWN)


def _apart(report: ReplayFacts) -> Table:
    firsts = {one.metric: one.step for one in report.mismatches}
    rows = tuple(
        (
            name,
            "-" if firsts.get(name) is None else f"{firsts[name]:,}",
            f"{one.unequal:,} of {one.steps:,}",
            number(one.largest_share),
            f"{one.missing:,}",
        )
        for name, one in report.comparison_stats.items()
    )
    lines = tuple(
        f"{name}: {unequal} steps unequal, largest share {share}"
        + (f", beyond the tolerance from step {step} on" if step != "-" else "")
        + (f", {missing} values without a partner" if missing != "0" else "")
        for name, step, unequal, share, missing in rows
    )
    heads = ("Metric", "Beyond the tolerance from", "Unequal steps", "Largest share", "Without a partner")
    return Table(heads=heads, rows=rows, lines=lines, most=SHOWN)


def _looked(report: ReplayFacts) -> Iterator[str]:
    yield f"the command `{report.replay_command}`, which ran for {report.replay_duration:.1f} s"
    if report.meta.get("commit"):
        yield f"the code of commit {str(report.meta['commit'])[:12]}, with the recorded changes"
    passed = sum(one.status == "passed" for one in report.inputs)
    if passed:
        yield f"{words.plural(passed, 'input')} with the recorded digest"
    yield f"metrics from {report.meta.get('read_from')}; all output is kept in {report.meta.get('folder')}"


def _problems(report: ReplayFacts) -> Iterator[Problem]:
    for finding in report.findings:
        step = finding.first_step
        yield Problem(
            code=finding.code,
            name=finding.name,
            severity=finding.severity,
            message=finding.message,
            source=str(report.meta.get("source") or ""),
            steps=None if step is None else (step, step),
            metric=finding.metric,
            value=finding.value,
            limit=finding.limit,
            causes=finding.causes,
            fixes=finding.fixes,
        )
