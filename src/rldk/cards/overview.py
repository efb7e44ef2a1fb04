"""Several runs at a glance: one line each, worst first, as a view and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from rldk.cards import words
from rldk.core.model import Report
from rldk.core.view import Bullets, Section, Table, View, tone_of
from rldk.engine.report.verdict import Headline, headline_of, shortfall

MAX_LINES = 40  # lines of the table, without --all
MAX_DETAILS = 3  # reports shown below it, without --all
MAX_BESIDE = 3  # reasons why files were not read, without --all
Word = Headline | Literal["unreadable"]
WORST_FIRST: tuple[Word, ...] = (
    "critical", "warn", "unreadable", "not_judged", "not_checked", "partly", "early", "ok",
)  # fmt: skip
WORDS: Mapping[str, str] = {**words.HEADLINE_WORDS, "unreadable": "UNREADABLE"}


class OverviewLine(Struct, frozen=True, kw_only=True):
    """One run, or a source that could not be read. `since`, `code`: those of its gravest finding.

    `text`: its verdict or the error. `place`: the position of its report among those given, None where there is
    none."""

    run: str
    source: str
    headline: Word
    since: int | None = None
    code: str = ""
    text: str = ""
    place: int | None = None


def overview(reports: Sequence[Report], failures: Sequence[tuple[str, str]] = ()) -> list[OverviewLine]:
    """A line for each report and each failure (its source, the error's message), worst first, otherwise in the given
    order."""
    lines = [_line(report, place) for place, report in enumerate(reports)]
    lines += [
        OverviewLine(run=source, source=source, headline="unreadable", text=message) for source, message in failures
    ]
    return sorted(lines, key=lambda line: WORST_FIRST.index(line.headline))


def _line(report: Report, place: int) -> OverviewLine:
    source = str(report.meta.get("source", ""))
    first = next(iter(words.loud(report.incidents)), None)
    worst = next(
        (f for f in report.findings if first and f.incident == first.id and f.severity == first.severity), None
    )
    return OverviewLine(
        run=str(report.meta.get("run") or source),
        source=source,
        headline=headline_of(report),
        since=worst.first_step if worst else None,
        code=worst.code if worst else "",
        text=worst.message if worst else _silence(report),
        place=place,
    )


def _silence(report: Report) -> str:
    """The verdict of a report without findings, without its headline."""
    understood = report.understanding
    if understood is not None and understood.state == "partly":
        return shortfall(understood)
    return report.verdict.partition(": ")[2] or report.verdict


def count_verdicts(lines: Sequence[OverviewLine]) -> str:
    """How many runs have each headline, in a sentence."""
    counts = Counter(line.headline for line in lines)
    return f"{len(lines):,} runs: {', '.join(f'{counts[w]:,} {WORDS[w].lower()}' for w in WORST_FIRST if counts[w])}."


def overview_view(lines: Sequence[OverviewLine], beside: Sequence[str] = ()) -> View:
    """The runs as a table, and below it the notes in `beside`."""
    worst = lines[0].headline if lines else "ok"
    runs = Table(
        heads=("Run", "Verdict", "Since", "Rule", "What"),
        rows=tuple(_cells(line) for line in lines),
        tones=tuple(tone_of(words.tone(line.headline)) for line in lines),
        links=tuple("" if line.place is None else anchor(line.place) for line in lines),
        most=MAX_LINES,
        trimmed=True,
    )
    notes = Section(title="Also", parts=(Bullets(items=tuple(beside), plain=True, most=MAX_BESIDE),))
    return View(
        kind="overview",
        title=f"{len(lines):,} runs",
        tone=tone_of(words.tone(worst)),
        badge=WORDS[worst],
        banner=count_verdicts(lines),
        sections=(Section(title="Runs", parts=(runs,)), *((notes,) if beside else ())),
    )


def anchor(place: int) -> str:
    """The HTML id of the report at that place."""
    return f"run-{place + 1}"


def summary(lines: Sequence[OverviewLine]) -> dict[str, Any]:
    """The lines in plain JSON types. `place` is the position of the report, counted from 0."""
    counts = Counter(line.headline for line in lines)
    return {
        "runs": len(lines),
        "counts": {word: counts[word] for word in WORST_FIRST if counts[word]},
        "worst_first": [asdict(line) for line in lines],
    }


def _cells(line: OverviewLine) -> tuple[str, ...]:
    code = f"`{line.code}`" if line.code else "-"
    return line.run, WORDS[line.headline], _since(line), code, line.text


def _since(line: OverviewLine) -> str:
    return "-" if line.since is None else f"{line.since:,}"
