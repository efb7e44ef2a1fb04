"""The report of a check of resuming."""

from __future__ import annotations

from rldk.core.view import View
from rldk.resume.facts import ResumeFacts
from rldk.resume.view import view_of_resume


class ResumeReport(ResumeFacts, frozen=True, kw_only=True):
    """Whether a resumed training is the uninterrupted one: the facts, with their view for renderers."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return view_of_resume(self)
