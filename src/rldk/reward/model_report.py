"""The report of a comparison of two reward models."""

from __future__ import annotations

from rldk.core.view import View
from rldk.reward.model_facts import RewardModelFacts
from rldk.reward.model_view import model_view


class RewardModelReport(RewardModelFacts, frozen=True, kw_only=True):
    """Two reward models on the same answers. None for what could not be measured. `passed`: no finding fails."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return model_view(self)
