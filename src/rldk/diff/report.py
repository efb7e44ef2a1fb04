"""The report of a comparison of two runs."""

from __future__ import annotations

from rldk.core.view import View
from rldk.diff.facts import DivergenceFacts
from rldk.diff.view import divergence_view


class DivergenceReport(DivergenceFacts, frozen=True, kw_only=True):
    """From where on run B differs from run A, and which question that answers.

    `question`: "identical": A and B are the same in every bit that was logged. "same-seed": they share a seed, and any
    difference beyond rounding is a difference of code, data or configuration. "seed-noise": B was compared with the
    range of several runs. "not-identifiable": B and A have different seeds, and one pair cannot tell a change from a
    seed; `diverged` then says whether they part at all. `tripped_signals`: in the order in which they moved.
    `suspected_causes`: what A and B record differently, the likeliest first. `details`: one entry a signal."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return divergence_view(self)
