"""The one sentence a person would say of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.core.model import SEVERITIES, Finding, Incident

WORDS = {"critical": "Critical", "warn": "Warning"}

FOLLOWERS = 1  # told besides the worst and the first: a sentence, not a list
FEW_ROWS = 20  # the self-calibrating features arm at 20 rows; with fewer, silence says little


def verdict(
    incidents: Sequence[Incident],
    findings: Sequence[Finding],
    *,
    rows: int,
    last_step: int,
    checked: int,
    unchecked: int,
) -> str:
    """The sentence or two that open every report: what is worst, since when, and what moved first."""
    if checked == 0:
        return f"Not checked: no rule found what it needs in {_count(rows, 'row')}."
    loud = [i for i in incidents if i.severity != "info"]
    if not loud and rows < FEW_ROWS:
        return f"Too early to say: {_count(checked, 'rule')} saw nothing wrong in {_count(rows, 'row')}; most need 20."
    if not loud:
        return (
            f"No problem found: {_count(checked, 'rule')} looked at {_count(rows, 'row')} up to step {last_step:,}, "
            f"{unchecked} had nothing to look at."
        )
    first = loud[0]
    sentence = _story([f for f in findings if f.incident == first.id], first)
    others = len(loud) - 1
    if others:
        sentence += f". {_count(others, 'other incident')}".rstrip()
    return sentence + "."


def _story(members: Sequence[Finding], incident: Incident) -> str:
    """What is worst and since when, what moved first, what followed and how much later."""
    lead = next(f for f in members if f.code == incident.codes[0])
    worst = lead if lead.severity == incident.severity else next(f for f in members if f.severity == incident.severity)
    text = f"{WORDS[worst.severity]} since step {worst.first_step:,}: {worst.message}"
    if worst is not lead:
        text += f", after {lead.message} at step {lead.first_step:,}"
    told = {worst.family, lead.family}
    rest = [f for f in members if f.severity != "info" and f.family not in told]
    followers = sorted(rest, key=lambda f: (-SEVERITIES.index(f.severity), f.first_step))[:FOLLOWERS]
    for f in sorted(followers, key=lambda f: f.first_step):
        text += f"; {_later(f.first_step - worst.first_step)}, {f.message}"
    codes = {f.code for f in (worst, lead, *followers)}
    more = [code for code in incident.codes if code not in codes]
    if more:
        named = ", ".join(more[:3]) + (", ..." if len(more) > 3 else "")
        text += f"; {_count(len(more), 'further finding')} came with it ({named})"
    return text


def _later(steps: int) -> str:
    if steps == 0:
        return "at the same step"
    return f"{_count(abs(steps), 'step')} {'later' if steps > 0 else 'before'}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n > 1 else ''}"
