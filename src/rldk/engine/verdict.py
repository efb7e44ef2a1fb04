"""The one sentence a person would say of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.core.model import Finding, Incident

WORDS = {"critical": "Critical", "warn": "Warning"}

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
    members = [f for f in findings if f.incident == first.id]
    worst = next((f for f in members if f.severity == first.severity), members[0])
    sentence = f"{WORDS[first.severity]} since step {worst.first_step:,}: {worst.message}"
    if worst.code != first.codes[0]:
        sentence += f". It began at step {first.first_step:,}: {first.title}"
    followers = [c for c in first.codes if c not in (first.codes[0], worst.code)]
    if followers:
        named = ", ".join(followers[:3]) + (", ..." if len(followers) > 3 else "")
        sentence += f"; {_count(len(followers), 'further finding')} came with it ({named})"
    others = len(loud) - 1
    if others:
        sentence += f". {_count(others, 'other incident')}".rstrip()
    return sentence + "."


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n > 1 else ''}"
