"""The report of an evaluation."""

from __future__ import annotations

from rldk.core.view import View
from rldk.evals.facts import EvalFacts
from rldk.evals.view import evaluation_view


class EvalResult(EvalFacts, frozen=True, kw_only=True):
    """What a suite of evaluations came to.

    `overall_score`: the share of the evaluations with a verdict that pass; None where fewer than half of the suite
    could be judged. `scores`, `confidence_intervals`: by measurement; None where the value or its interval is not
    known. `effect_sizes`: by measurement, where there is one. `raw_results`: everything about each measurement.
    `not_available`: measurement -> what it needs. `passed`: no evaluation fails, and at least one could be judged."""

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        return evaluation_view(self)
