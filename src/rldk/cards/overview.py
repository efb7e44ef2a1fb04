"""Several runs at a glance: one line each, worst first, as text, HTML and JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from rldk.cards import words
from rldk.cards.columns import align_columns
from rldk.cards.safe import clean, escape
from rldk.core.model import Report
from rldk.engine.report.verdict import Headline, headline_of, shortfall

MAX_LINES = 40  # lines of the table, without --all
MAX_DETAILS = 3  # reports shown below it, without --all
MAX_BESIDE = 3  # reasons why files were not read, without --all
NAME = 28  # characters of a run's name
LEAST_TEXT = 16  # columns that are wide enough for a text
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


def table(lines: Sequence[OverviewLine], *, width: int, beside: Sequence[str] = (), everything: bool = False) -> str:
    """The lines as text of so many columns, with the notes in `beside`."""
    shown = lines if everything else lines[:MAX_LINES]
    found = any(line.code for line in shown)
    heads = ("run", "verdict", *(("since", "code") if found else ()), "what")
    made = align_columns(heads, [_cells(line, found=found) for line in shown])
    cut = width if len(made[0]) - len("what") + LEAST_TEXT <= width else len(made[0]) - len("what") + LEAST_TEXT
    made = [line if len(line) <= cut else line[: cut - 3].rstrip() + "..." for line in made]
    more = [f"and {len(lines) - len(shown):,} more with --all"] if len(lines) > len(shown) else []
    told = [clean(text, 400) for text in (beside if everything else beside[:MAX_BESIDE])]
    wrapped = [part for text in told for part in textwrap.wrap(text, width, subsequent_indent="  ")]
    return "\n".join([count_verdicts(lines), "", *made, *more, *([""] if wrapped else []), *wrapped]) + "\n"


def index(lines: Sequence[OverviewLine]) -> str:
    """The lines as an HTML table. Each run's name links to its report, whose anchor is `anchor(place)`."""
    rows = "".join(
        f'<tr class="{words.tone(x.headline)}">'
        f'<td class="nowrap"><span class="badge">{WORDS[x.headline]}</span></td>'
        f'<td>{_link(x)}</td><td class="nowrap">{_since(x)}</td><td><code>{escape(x.code or "-")}</code></td>'
        f"<td>{escape(x.text)}</td></tr>"
        for x in lines
    )
    heads = "".join(f"<th>{head}</th>" for head in ("Verdict", "Run", "Since", "Rule", "What"))
    grid = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<header><h1>rldk</h1></header><section><h2>{escape(count_verdicts(lines))}</h2>{grid}</section>"


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


def _cells(line: OverviewLine, *, found: bool) -> list[str]:
    """The cells of a line. `found`: some line has a finding, so all lines have the columns for step and rule."""
    finding = [_since(line), line.code or "-"] if found else []
    return [_short(line.run), WORDS[line.headline], *finding, clean(line.text, 400)]


def _link(line: OverviewLine) -> str:
    name = escape(line.run)
    return name if line.place is None else f'<a href="#{anchor(line.place)}">{name}</a>'


def _since(line: OverviewLine) -> str:
    return "-" if line.since is None else f"{line.since:,}"


def _short(name: str) -> str:
    """The name without its middle where it is long: runs differ at either end."""
    plain = clean(name)
    return plain if len(plain) <= NAME else f"{plain[: NAME // 2 - 2]}...{plain[-(NAME // 2 - 1) :]}"
