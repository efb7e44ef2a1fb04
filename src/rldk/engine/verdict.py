"""The one sentence a person would say of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.core.model import Incident

WORDS = {"critical": "Critical", "warn": "Warning", "info": "No problem"}


def verdict(incidents: Sequence[Incident], *, rows: int, last_step: int, checked: int, unchecked: int) -> str:
    """The sentence that opens every report."""
    loud = [i for i in incidents if i.severity != "info"]
    scope = (
        f"{_count(checked, 'rule')} looked at {rows:,} rows up to step {last_step:,}, "
        f"{unchecked} had nothing to look at"
    )
    if checked == 0:
        return f"Not checked: no rule found what it needs in {rows:,} rows."
    if not loud:
        return f"No problem found: {scope}."
    first = loud[0]
    sentence = f"{WORDS[first.severity]} since step {first.first_step:,}: {first.title}"
    followers = len(first.codes) - 1
    if followers:
        named = ", ".join(first.codes[1:4]) + (", ..." if followers > 3 else "")
        sentence += f"; {_count(followers, 'further finding')} followed ({named})"
    others = len(loud) - 1
    if others:
        sentence += f". {_count(others, 'other incident').capitalize()}"
    return sentence + "."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n > 1 else ''}"
