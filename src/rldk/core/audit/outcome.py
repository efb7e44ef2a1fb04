"""What became of one thing that was compared with its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

OutcomeStatus = Literal["passed", "failed", "not_checked"]
MOST_NAMED = 50  # places of one thing that are named in the report


class CheckOutcome(Struct, frozen=True, kw_only=True):
    """One thing that was verified. `part`: data, weights, code, tokenizer, lineage or run. `name`: of the thing.

    `message`: what was found, or what a check would need. `places`: the files, tensors or rows that differ, at most
    `MOST_NAMED`; `more`: how many others differ."""

    part: str
    name: str
    status: OutcomeStatus
    message: str
    places: tuple[str, ...] = ()
    more: int = 0


def named_places(places: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The places that a report names, and how many it leaves out."""
    return tuple(places[:MOST_NAMED]), max(0, len(places) - MOST_NAMED)
