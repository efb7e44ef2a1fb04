"""The view of a bisection: the culprit or the credible set, and every run."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.bisect.facts import BisectFacts
from rldk.bisect.state import BisectRun
from rldk.cards import words
from rldk.cards.chart import number
from rldk.core.view import Bullets, Commands, Section, Table, Tone, View

SHOWN = 12  # lines of a list, unless everything is asked for


def view_of_bisect(report: BisectFacts) -> View:
    """Everything that a renderer may show of the report."""
    tone: Tone = "ok" if report.passed else "warn"
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "bisection"),
        tone=tone,
        badge="FOUND" if report.passed else "NOT ONE",
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        unchecked={check.name: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def _sections(report: BisectFacts) -> Iterator[Section]:
    if len(report.candidates) > 1 or (report.candidates and report.probabilities[report.candidates[0]] < 1.0):
        yield Section(title="Likely first bad", parts=(_candidates(report),))
    notes = tuple(words.sentence(note.text) for note in report.notes)
    if notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=notes),))
    skipped = [run for run in report.runs if run.word == "skip"]
    if skipped:
        lines = tuple(f"{_short(run.name)}: {run.reason}" for run in skipped)
        yield Section(title="Skipped", parts=(Bullets(items=lines, plain=True, most=SHOWN),))
    yield Section(title=f"Runs ({report.iterations})", parts=(_runs(report),), detail=report.iterations > SHOWN)
    yield Section(title="Looked at", parts=(Bullets(items=tuple(_looked(report)), plain=True),))
    if report.culprit_sha and report.meta.get("repository"):
        yield Section(title="Next", parts=(Commands(lines=(f"git show {_short(report.culprit_sha)}",)),))


def _candidates(report: BisectFacts) -> Table:
    rows = tuple(
        (_short(name), f"{report.probabilities[name]:.1%}", report.subjects.get(name, "")) for name in report.candidates
    )
    lines = tuple(f"{name} {share} {subject}".rstrip() for name, share, subject in rows)
    return Table(heads=("Commit", "Probability", "Message"), rows=rows, lines=lines, most=SHOWN)


def _runs(report: BisectFacts) -> Table:
    rows = tuple(_row(place, run) for place, run in enumerate(report.runs, 1))
    lines = tuple(
        f"{place} {name}: {word}" + (f", value {value}" if value else "") for place, name, word, value, _ in rows
    )
    return Table(heads=("Run", "Commit", "Outcome", "Value", "Seconds"), rows=rows, lines=lines)


def _row(place: int, run: BisectRun) -> tuple[str, str, str, str, str]:
    name = _short(run.name) + (f" (the {run.end} end)" if run.end else "")
    return str(place), name, run.word, "" if run.value is None else number(run.value), f"{run.seconds:.1f}"


def _looked(report: BisectFacts) -> Iterator[str]:
    count = int(report.numbers.get("candidates") or 0)
    yield f"{words.plural(count, str(report.meta.get('noun') or 'commit'))} between {report.meta.get('between')}"
    yield f"a run is bad when {report.meta.get('bad_when')}"
    yield f"the output of each run is kept in {report.logs_path}"


def _short(name: str) -> str:
    return name[:12] if len(name) >= 40 else name
