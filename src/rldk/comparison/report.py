"""The report of a comparison of groups of runs."""

from __future__ import annotations

from rldk.comparison.facts import ComparisonFacts
from rldk.comparison.view import comparison_view
from rldk.core.view import View


class ComparisonReport(ComparisonFacts, frozen=True, kw_only=True):
    """Groups of runs side by side. `groups`: name -> the runs in it. `baseline`: the group that the others are compared
    with. `passed`: no group is worse in the first metric, which stands for the goal. `settings`: of the keys that
    differ among the recorded configurations, those that go with the goal first. `seed_share`: the share of the variance
    of the goal that lies within groups, which is what the seed decides; None where there is no second run or group."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return comparison_view(self)
