"""The story of an incident in at most two short sentences: what moved first, and what it led to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rldk.core.model import SEVERITIES, Finding, Incident, Severity
from rldk.core.text import later

WORDS = {"critical": "Critical", "warn": "Warning"}
LONGEST_SENTENCE = 140  # characters that are read at one glance (our own choice)
LEAST_CLAUSE = 20  # characters of a message that are still a clause
_CLAUSE_ENDS = later(r"; |: | \(|, ")


class Moment(NamedTuple):
    """A step, and what could be said there with this severity."""

    step: int | None  # None: before the first one
    severity: Severity
    message: str


def story(members: Sequence[Finding], incident: Incident, *, others: int = 0) -> str:
    """The sentences, without the last full stop. `members`: the findings of the incident, in the order of their rows;
    `others`: the number of other incidents."""
    lead = next(f for f in members if f.code == incident.codes[0])
    first, then = beginning(lead), consequence(members, lead)
    word = WORDS[incident.severity]
    start = _sentence(_opening(word, first, same=first.severity == incident.severity), first.message)
    over = recovered(latest_recovery(members))
    more = f"{others:,} other incident{'s' if others > 1 else ''}" if others else ""
    if then is None:
        return start + over + (f". {more}" if more else "")
    return f"{start}. " + _sentence(_moment(first.step, then.step), then.message, over + (f"; {more}" if more else ""))


def beginning(finding: Finding) -> Moment:
    """The moment when the finding became at least a warning."""
    worse, began = finding.evidence.get("worse_from"), finding.evidence.get("began_as", finding.severity)
    if worse is None or began == "info":
        return gravest_moment(finding)
    return Moment(finding.first_step, began, _message(finding).partition(turn(worse))[0])


def gravest_moment(finding: Finding) -> Moment:
    """The moment when the finding reached its severity."""
    worse, said = finding.evidence.get("worse_from"), _message(finding)
    if worse is None:
        return Moment(finding.first_step, finding.severity, said)
    return Moment(worse, finding.severity, said.partition(turn(worse))[2] or said)


def _message(finding: Finding) -> str:
    return finding.message.removesuffix(recovered(finding.evidence))


def consequence(members: Sequence[Finding], lead: Finding) -> Moment | None:
    """The gravest moment after the first mover, the earliest of equals; None where only similar findings followed."""
    after = [
        gravest_moment(f)
        for f in members
        if f is not lead and f.severity != "info" and (f.family != lead.family or f.severity != lead.severity)
    ]
    if lead.evidence.get("began_as", "info") != "info":
        after.append(gravest_moment(lead))
    return min(after, key=lambda m: (-SEVERITIES.index(m.severity), -1 if m.step is None else m.step), default=None)


def recovered(evidence: Mapping[str, Any]) -> str:
    """The end of a message that says since when the finding is over. "" without such evidence."""
    step = evidence.get("recovered_at")
    return "" if step is None else f"; recovered at step {step:,}"


def latest_recovery(findings: Sequence[Finding]) -> Mapping[str, Any]:
    """The evidence of the finding that was over last; empty where none has such evidence."""
    over = [f.evidence for f in findings if "recovered_at" in f.evidence]
    return max(over, key=lambda e: e["recovered_at"], default={})


def turn(step: int) -> str:
    """The part of a message between how the finding began and how it became graver."""
    return f"; from step {step:,}: "


def shorten(message: str, room: int) -> str:
    """The first sentence of a message; if it has more than `room` characters, it is cut after a clause."""
    text = message.split(". ", 1)[0].rstrip(".")
    if len(text) <= room:
        return text
    ends = [m.start() for m in _CLAUSE_ENDS.finditer(text) if LEAST_CLAUSE <= m.start() <= room]
    whole = [end for end in ends if text.count("(", 0, end) == text.count(")", 0, end)]
    return text[: whole[-1]] if whole else text[: room - 3].rsplit(" ", 1)[0] + "..."


def _sentence(head: str, message: str, tail: str = "") -> str:
    return head + shorten(message, LONGEST_SENTENCE - len(head) - len(tail) - 1) + tail


def _opening(word: str, first: Moment, *, same: bool) -> str:
    """The beginning of the story. `same`: what moved first is as grave as the whole incident."""
    if first.step is None:
        return f"{word} before the first step: "
    return f"{word} since step {first.step:,}: " if same else f"{word}: at step {first.step:,}, "


def _moment(before: int | None, step: int | None) -> str:
    if step is None:
        return "Before the first step, "
    if before is None:
        return f"By step {step:,}, "
    if step == before:
        return "At the same step, "
    return f"By step {step:,}, " if step > before else f"After a restart, by step {step:,}, "
