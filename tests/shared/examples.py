"""How many examples a property is tried on: what the profile says, but no more than a costly one can pay for."""

from __future__ import annotations

from hypothesis import settings


def at_most(count: int) -> int:
    """The number of examples of the profile, at most `count`."""
    return min(count, settings().max_examples)
