from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from examples import each_of

from rldk.forensics import ComprehensivePPOForensics
from rldk.forensics.scores import convergence


@each_of(
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


@pytest.mark.slow
def test_the_scores_tell_a_healthy_run_from_a_broken_one(ppo_rows: Callable[..., list[dict[str, Any]]]) -> None:
    def scored(**changes: Any) -> dict[str, Any]:
        forensics = ComprehensivePPOForensics()
        for row in ppo_rows(120, **changes):
            forensics.update(**row)
        return forensics.get_health_summary()

    healthy = scored()
    broken = scored(policy_grad_norm=lambda i, x: x if i < 100 else 40 * x, kl_coef=lambda i, x: x if i < 100 else 0.0)
    assert healthy["overall_health_score"] > 0.7 > 0.5 > broken["overall_health_score"]
    assert healthy["training_stability_score"] == 1.0 > broken["training_stability_score"]
    assert healthy["convergence_quality_score"] > 0.9  # the reward rises steadily
