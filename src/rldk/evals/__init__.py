"""Evaluations: what the answers of a model prove, with intervals, and whether one model is better than another."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.evals.comparing import compare
    from rldk.evals.comparison import EvalComparison
    from rldk.evals.facts import EffectSize, Measurement
    from rldk.evals.judges.classifier import classify
    from rldk.evals.judges.pairs import judge_pairs
    from rldk.evals.judges.server import JudgeServer
    from rldk.evals.registry import EvalOptions, evaluation
    from rldk.evals.result import EvalResult
    from rldk.evals.running import run
    from rldk.evals.table import EvalTable

__all__ = [
    "EffectSize",
    "EvalComparison",
    "EvalOptions",
    "EvalResult",
    "EvalTable",
    "JudgeServer",
    "Measurement",
    "classify",
    "compare",
    "evaluation",
    "judge_pairs",
    "run",
]

_HOMES = {
    "EvalComparison": "rldk.evals.comparison",
    "compare": "rldk.evals.comparing",
    "EffectSize": "rldk.evals.facts",
    "EvalOptions": "rldk.evals.registry",
    "EvalResult": "rldk.evals.result",
    "EvalTable": "rldk.evals.table",
    "JudgeServer": "rldk.evals.judges.server",
    "classify": "rldk.evals.judges.classifier",
    "judge_pairs": "rldk.evals.judges.pairs",
    "Measurement": "rldk.evals.facts",
    "evaluation": "rldk.evals.registry",
    "run": "rldk.evals.running",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.evals' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
