"""The data of the determinism card of a check."""

from __future__ import annotations

from typing import Any

from rldk.core.codec import to_builtins
from rldk.determinism.report import DeterminismReport


def determinism_card(report: DeterminismReport) -> dict[str, Any]:
    """The card in plain JSON types: the verdict, what it stands on, and how it can be repeated."""
    return {
        "schema_version": 1,
        "kind": "determinism_card",
        "passed": report.passed,
        "verdict": report.verdict,
        "classification": report.classification,
        "command": report.meta["source"],
        "replicas": report.numbers["replicas"],
        "steps": report.numbers["steps"],
        "metrics": list(report.meta["metrics"]),
        "tolerance": report.numbers["tolerance"],
        "divergence_rate_at_most": report.numbers["divergence_rate_at_most"],
        "first_divergence": to_builtins(report.first_divergence),
        "culprit": report.culprit,
        "fixes": list(report.fixes),
        "replica_variance": dict(report.replica_variance),
        "rng_map": report.rng_map,
        "mismatches": to_builtins(report.mismatches),
        "not_checked": list(report.skipped_checks),
        "environment": report.meta["environment"],
    }
