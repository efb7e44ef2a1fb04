"""The report of a determinism check."""

from __future__ import annotations

from rldk.core.view import View
from rldk.determinism.facts import DeterminismFacts
from rldk.determinism.view import view_of_determinism


class DeterminismReport(DeterminismFacts, frozen=True, kw_only=True):
    """Whether replicas of one command agree: the facts, with their view for renderers."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return view_of_determinism(self)
