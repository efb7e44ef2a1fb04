"""How many examples a property is tried on: what the profile says, but no more than a costly one can pay for."""

from __future__ import annotations

from hypothesis import settings


def at_most(count: int) -> int:
    """The number of examples of the profile, at most `count`."""
    return min(count, settings().max_examples)


def few(count: int) -> int:
    """The number of examples of a property whose every example costs a tenth of a second or more: two in the fast set,
    as `at_most` says in the slow one."""
    return 2 if settings().max_examples < 10 else at_most(count)
