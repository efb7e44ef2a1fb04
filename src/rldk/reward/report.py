"""The report of a look at reward data."""

from __future__ import annotations

from rldk.core.view import View
from rldk.reward.facts import RewardHealthFacts
from rldk.reward.view import health_view


class RewardHealthReport(RewardHealthFacts, frozen=True, kw_only=True):
    """The health of rewards. A check whose data is missing has the status "not_available" and the value None, never 0.

    `passed`: no check fails, and at least one besides that for missing rewards could look."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return health_view(self)
