"""The view of a check of resuming: what was lost, what the checkpoint holds, each run."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.cards import words
from rldk.core.view import Bullets, Commands, Facts, Problem, Section, Table, Tone, View
from rldk.resume.checkpoints import NEEDED
from rldk.resume.facts import ResumeFacts


def view_of_resume(report: ResumeFacts) -> View:
    """Everything that a renderer may show of the report."""
    tone: Tone = "ok" if report.passed else "warn" if report.inconclusive else "critical"
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "command"),
        tone=tone,
        badge="RESUMES" if report.passed else "INCONCLUSIVE" if report.inconclusive else "ANOTHER RUN",
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(_problems(report)),
        checked=report.checked,
        unchecked={check.name: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def _sections(report: ResumeFacts) -> Iterator[Section]:
    for finding in report.findings:
        if finding.severity != "info":
            items = finding.fixes
            yield Section(
                title=words.sentence(finding.message).rstrip("."),
                tone=finding.severity,
                code=finding.code,
                name=finding.name,
                parts=(Bullets(title="What to try", items=items),) if items else (),
            )
    if report.suspects:
        yield Section(title="Also look at", parts=(Bullets(items=report.suspects, plain=True),))
    yield _runs(report)
    if report.checkpoint is not None:
        yield _inventory(report)
    notes = tuple(words.sentence(note.text) for note in report.notes)
    if notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=notes),))
    if report.skipped:
        lines = tuple(f"{check.name}: {check.reason}" for check in report.skipped)
        yield Section(title="Not checked", parts=(Bullets(items=lines, plain=True),))
    names = report.metrics_compared
    named = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
    looked = (f"{words.plural(len(names), 'metric')}: {named}", f"all output is kept in {report.meta.get('folder')}")
    yield Section(title="Looked at", parts=(Bullets(items=looked, plain=True),))
    if report.findings:
        code = report.findings[0].code
        yield Section(title="Next", parts=(Commands(lines=(f"rldk explain {code}",)),))


def _runs(report: ResumeFacts) -> Section:
    rows = tuple((one.name, one.result, f"{one.seconds:.1f}") for one in report.trials)
    lines = tuple(f"{name}: {result}" for name, result, _ in rows)
    return Section(title="Runs", parts=(Table(heads=("Run", "Result", "Seconds"), rows=rows, lines=lines),))


def _inventory(report: ResumeFacts) -> Section:
    found = report.checkpoint
    assert found is not None  # noqa: S101 - the caller has looked
    if found.inventory is None:
        pairs: tuple[tuple[str, str], ...] = (("not read", found.reason),)
    else:
        said = {True: "there", False: "not found"}
        shown = [(kind, there) for kind, there in found.inventory.items() if there or kind in NEEDED]
        pairs = tuple((kind, said[there]) for kind, there in shown)
    title = f"In the checkpoint {found.path} ({found.bytes:,} bytes)"
    return Section(title=title, parts=(Facts(pairs=pairs),))


def _problems(report: ResumeFacts) -> Iterator[Problem]:
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
