"""One try at something that may fail for a while, and trying again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

LONGEST_PAUSE_S = 30.0


class Attempt(Struct, frozen=True):
    """`again`: a failure that may pass by itself."""

    ok: bool
    detail: str = ""
    again: bool = False


def persist(once: Callable[[], Attempt], retries: int, backoff_s: float, hurry: threading.Event) -> tuple[Attempt, int]:
    """The last attempt and how many there were: up to `retries` more, each pause twice the one before. None more once
    `hurry` is set."""
    made = once()
    for number in range(1, retries + 1):
        if made.ok or not made.again or hurry.wait(min(backoff_s * 2 ** (number - 1), LONGEST_PAUSE_S)):
            return made, number
        made = once()
    return made, retries + 1
