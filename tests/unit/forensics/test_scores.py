from __future__ import annotations

import pytest

from rldk.forensics import ComprehensivePPOForensics
from rldk.forensics.scores import convergence


@pytest.mark.parametrize(
    ("kind", "probability", "expected"),
    [("converged", 0.9, 0.9), ("improving", 0.95, 0.95), ("degrading", 0.75, 0.25), ("unknown", 0.5, None)],
)
def test_convergence_is_the_probability_of_not_degrading(kind: str, probability: float, expected: float | None) -> None:
    assert convergence(kind, probability) == expected
    assert convergence(kind, None) is None


def test_scores_are_none_before_there_is_evidence() -> None:
    metrics = ComprehensivePPOForensics().update(0, 0.1, 0.2)
    names = ("overall_health_score", "training_stability_score", "convergence_quality_score")
    assert [getattr(metrics, name) for name in names] == [None, None, None]
