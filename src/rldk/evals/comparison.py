"""The report of a comparison of two evaluations."""

from __future__ import annotations

from rldk.core.view import View
from rldk.evals.compared_facts import ComparedFacts
from rldk.evals.comparison_view import compared_view


class EvalComparison(ComparedFacts, frozen=True, kw_only=True):
    """Two evaluations of the same questions: whether B is better than A.

    `contrasts`: one for each score, with p-values adjusted over them (Holm). `parts`: the first score in each category
    or task, adjusted for their number (Benjamini and Hochberg). `paired`: the answers of both to a prompt were
    compared. `margin`: a fall by less is no fall. `passed`: B is worse in no score
    and in no task."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return compared_view(self)
