"""A trust card, with its page for renderers."""

from __future__ import annotations

from collections.abc import Iterable

from rldk.cards.trust.facts import CardCheck, CardFacts
from rldk.cards.trust.status import CardWord
from rldk.cards.trust.view import card_view
from rldk.core.view import View


class Card(CardFacts, frozen=True, kw_only=True):
    """A trust card. `passed`: its status is "pass" or "warn". `status`: the worst answer; "not checked" where the main
    question has none and nothing failed.

    `command`: prints the same card again. `made_by`: name and version of the program that made it."""

    def view(self) -> View:
        """Everything that a renderer may show of the card."""
        return card_view(self)


def status_of(checks: Iterable[CardCheck]) -> CardWord:
    """The status of a card with these checks: "fail" if one failed, "not checked" while a main check has no answer or
    nothing has one, else the worst of them."""
    each = list(checks)
    words = {check.status for check in each}
    unanswered = any(check.main and check.status == "not checked" for check in each)
    if "fail" in words:
        return "fail"
    if unanswered or words <= {"not checked"}:
        return "not checked"
    return "warn" if "warn" in words else "pass"


def made_by() -> str:
    """The name and version of this program."""
    from rldk import __version__

    return f"rldk {__version__}"
