"""The report of a profile."""

from __future__ import annotations

from rldk.core.view import View
from rldk.profiling.facts import ProfileFacts
from rldk.profiling.view import view_of_profile


class ProfileReport(ProfileFacts, frozen=True, kw_only=True):
    """Where the time of a training goes: the facts, with their view for renderers."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return view_of_profile(self)
