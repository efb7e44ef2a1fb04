"""The report of a look at reward data."""

from __future__ import annotations

from collections.abc import Iterable

from rldk.cards.trust.facts import CardCheck, CardPlot
from rldk.core.view import View
from rldk.reward.facts import RewardHealthFacts
from rldk.reward.view import health_view


class RewardHealthReport(RewardHealthFacts, frozen=True, kw_only=True):
    """The health of rewards. A check whose data is missing has the status "not_available" and the value None, never 0.

    `passed`: no check fails, and at least one besides that for missing rewards could look."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return health_view(self)

    def card_checks(self) -> Iterable[CardCheck]:
        """What the report answers on a reward card (`rldk.cards.generate_reward_card(run, health=report)`)."""
        from rldk.reward.card import card_checks

        return card_checks(self)

    def card_plots(self) -> Iterable[CardPlot]:
        """What the report draws on a reward card."""
        from rldk.reward.card import card_plots

        return card_plots(self)
