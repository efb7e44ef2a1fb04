"""The report of a bisection."""

from __future__ import annotations

from rldk.bisect.facts import BisectFacts
from rldk.bisect.view import view_of_bisect
from rldk.core.view import View


class BisectResult(BisectFacts, frozen=True, kw_only=True):
    """The first bad commit or version: the facts, with their view for renderers."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return view_of_bisect(self)
