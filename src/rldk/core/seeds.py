"""Seeds of random draws."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from rldk.errors import UsageError


def seed_of(given: SupportsIndex) -> int:
    """The seed as a whole number of Python. Raises `UsageError` for anything but a whole number of 0 or more."""
    try:
        seed = -1 if isinstance(given, bool) else index(given)
    except TypeError:
        seed = -1
    if seed < 0:
        raise UsageError(f"seed is {given!r}", hint="give a whole number of 0 or more")
    return seed
