"""The report of a replay."""

from __future__ import annotations

from rldk.core.view import View
from rldk.replay.facts import ReplayFacts
from rldk.replay.view import view_of_replay


class ReplayReport(ReplayFacts, frozen=True, kw_only=True):
    """Whether a replay gives the numbers of the run: the facts, with their view for renderers."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return view_of_replay(self)
