"""Tries an action that may fail for a while, and tries again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

LONGEST_PAUSE_S = 30.0


class Attempt(Struct, frozen=True):
    """The result of one try. `again`: the failure may pass by itself."""

    ok: bool
    detail: str = ""
    again: bool = False


def persist(once: Callable[[], Attempt], retries: int, backoff_s: float, hurry: threading.Event) -> tuple[Attempt, int]:
    """Returns the last attempt and the number of attempts.

    There are up to `retries` more after the first. Each pause is twice the one before. Once `hurry` is set, there are
    no more."""
    made = once()
    for number in range(1, retries + 1):
        if made.ok or not made.again or hurry.wait(min(backoff_s * 2 ** (number - 1), LONGEST_PAUSE_S)):
            return made, number
        made = once()
    return made, retries + 1
