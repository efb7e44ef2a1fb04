"""The sentence that a person would say about a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Literal, get_args

from rldk.core.model import Finding, Incident, Report, Severity, Understanding
from rldk.core.text import first_few
from rldk.engine.report.story import story

FEW_ROWS = 20  # the self-calibrating features arm at 20 rows; with fewer, silence says little
NAMES = 4  # of columns in a sentence
LONGEST = 60  # characters of a column's name in a sentence
ROOM = 60  # characters of all their names together


Headline = Literal["critical", "warn", "not_judged", "not_checked", "partly", "early", "ok"]
WORST_FIRST: tuple[Headline, ...] = get_args(Headline)


def headline(worst: Severity | None, understood: Understanding | None, *, rows: int, checked: int) -> Headline:
    """The kind of verdict. Findings come first; without findings, it depends on how much of the log was understood."""
    if worst is not None and worst != "info":
        return worst
    state = "judged" if understood is None else understood.state
    if state == "not" and understood is not None and (understood.unknown or checked):
        return "not_judged"
    if checked == 0:
        return "not_checked"
    if state == "partly":
        return "partly"
    return "early" if rows < FEW_ROWS else "ok"


def headline_of(report: Report) -> Headline:
    """The headline of a report."""
    counted = report.numbers.get("rows", FEW_ROWS)  # a kind of report without rows is never too early
    rows = int(counted or 0)
    return headline(report.worst(), report.understanding, rows=rows, checked=len(report.checked))


def verdict(
    incidents: Sequence[Incident],
    findings: Sequence[Finding],
    understood: Understanding,
    *,
    rows: int,
    last_step: int,
    checked: int,
    unchecked: int,
) -> str:
    """The one or two sentences that open every report: what moved first, since when, and what it led to.

    Where nothing is wrong, they say how much that means."""
    worst = incidents[0].severity if incidents else None
    match headline(worst, understood, rows=rows, checked=checked):
        case "critical" | "warn":
            return _findings(incidents, findings)
        case "not_judged":
            return not_judged_sentence(understood)
        case "not_checked":
            return f"Not checked: no rule found what it needs in {_count(rows, 'row')}."
        case "partly":
            few = f"; most rules need {FEW_ROWS}" if rows < FEW_ROWS else ""
            seen = f"nothing wrong in {_some(understood.looked_at)} ({_count(rows, 'row')}{few})"
            return f"Partly judged: {seen}. {shortfall(understood)}."
        case "early":
            return (
                f"Too early to say: {_count(checked, 'rule')} saw nothing wrong in {_count(rows, 'row')}; "
                f"most need {FEW_ROWS}."
            )
        case "ok":
            return (
                f"No problem found: {_count(checked, 'rule')} looked at {_count(rows, 'row')} up to step "
                f"{last_step:,}; {unchecked} had nothing to look at."
            )


def _findings(incidents: Sequence[Incident], findings: Sequence[Finding]) -> str:
    first, *others = (i for i in incidents if i.severity != "info")
    return story([f for f in findings if f.incident == first.id], first, others=len(others)) + "."


def not_judged_sentence(understood: Understanding) -> str:
    """The sentence that nothing can be said about such a log, and what to do about it."""
    known, unknown = sorted(set(understood.known.values())), understood.unknown
    columns = len(known) + len(unknown)
    said = f"knows none of the {columns} columns" if columns > 1 else "does not know the only column"
    if known:
        said = f"knows {len(known)} of the {_count(columns, 'column')} ({_some(known)}) and none that matters"
    if not unknown:
        return f"Not judged: rldk {said}. {shortfall(understood)}."
    unread = "" if known else f": {_some(unknown)}"
    return f"Not judged: rldk {said}{unread}. Try: {field_map_option(understood)}"


def shortfall(understood: Understanding) -> str:
    """The sentence that says what a partly judged log lacks, and which of its columns are unknown."""
    unread = f"; not read: {_some(understood.unknown)}" if understood.unknown else ""
    return f"Not looked at: {', '.join(understood.missing)}{unread}"


def field_map_option(understood: Understanding) -> str:
    """The option to paste: it maps unknown columns to likely metrics, or has a place for the first missing metric."""
    wanted = next(iter(understood.missing.values()), ("reward_mean",))
    return f"--field-map {shlex.quote(json.dumps(understood.field_map or {'COLUMN': wanted[0]}))}"


def _some(names: Sequence[str]) -> str:
    """The first names that fit, at least one, and the number of the others."""
    cut = [name if len(name) <= LONGEST else name[: LONGEST - 3] + "..." for name in names]
    shown = [name for i, name in enumerate(cut[:NAMES]) if not i or sum(map(len, cut[: i + 1])) + 2 * i <= ROOM]
    return first_few(shown, len(shown), count=len(names))


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n > 1 else ''}"
