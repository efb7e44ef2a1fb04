"""RL Debug Kit: what broke in a training run, at which step, why, and what to change."""

from __future__ import annotations

__version__ = "0.1.0"
TYPE_CHECKING = False  # importing it from typing would be most of the cost of `import rldk`

if TYPE_CHECKING:
    from rldk.bisect import bisect_commits
    from rldk.comparison import compare_runs
    from rldk.determinism import DeterminismReport, check
    from rldk.determinism import check as check_determinism
    from rldk.diagnosis import diagnose
    from rldk.diff import DivergenceReport, first_divergence
    from rldk.emit import EventWriter
    from rldk.evals import EvalResult
    from rldk.forensics import ComprehensivePPOForensics
    from rldk.ingest import ingest_runs, ingest_runs_to_events
    from rldk.integrations.loop import watch
    from rldk.logprobs import mismatch
    from rldk.preflight import preflight
    from rldk.profiling import profile
    from rldk.replay import ReplayReport
    from rldk.reward import RewardHealthReport, compare_models, health, reward_health
    from rldk.tracking import ExperimentTracker, TrackingConfig, finish, init, log
    from rldk.utils.seed import set_global_seed

__all__ = [
    "ComprehensivePPOForensics",
    "DeterminismReport",
    "DivergenceReport",
    "EvalResult",
    "EventWriter",
    "ExperimentTracker",
    "ReplayReport",
    "RewardHealthReport",
    "TrackingConfig",
    "__version__",
    "bisect_commits",
    "check",
    "check_determinism",
    "compare_models",
    "compare_runs",
    "diagnose",
    "finish",
    "first_divergence",
    "health",
    "ingest_runs",
    "ingest_runs_to_events",
    "init",
    "log",
    "mismatch",
    "preflight",
    "profile",
    "reward_health",
    "set_global_seed",
    "watch",
]

_HOMES = {
    "ComprehensivePPOForensics": "rldk.forensics",
    "DeterminismReport": "rldk.determinism",
    "DivergenceReport": "rldk.diff",
    "EvalResult": "rldk.evals",
    "EventWriter": "rldk.emit",
    "ExperimentTracker": "rldk.tracking",
    "ReplayReport": "rldk.replay",
    "RewardHealthReport": "rldk.reward",
    "TrackingConfig": "rldk.tracking",
    "bisect_commits": "rldk.bisect",
    "check": "rldk.determinism",
    "check_determinism": "rldk.determinism",
    "compare_models": "rldk.reward",
    "compare_runs": "rldk.comparison",
    "diagnose": "rldk.diagnosis",
    "finish": "rldk.tracking",
    "first_divergence": "rldk.diff",
    "health": "rldk.reward",
    "ingest_runs": "rldk.ingest",
    "ingest_runs_to_events": "rldk.ingest",
    "init": "rldk.tracking",
    "log": "rldk.tracking",
    "mismatch": "rldk.logprobs",
    "profile": "rldk.profiling",
    "reward_health": "rldk.reward",
    "set_global_seed": "rldk.utils.seed",
    "watch": "rldk.integrations.loop",
}
_NAMES = {"check_determinism": "check"}  # the public name -> the name in its home


def __getattr__(name: str) -> object:
    """The public name from its home module, imported on first use: `import rldk` alone loads nothing else."""
    if name == "preflight":  # a module that can be called; importing it makes it an attribute of this one
        from importlib import import_module

        return import_module("rldk.preflight")
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'rldk' has no attribute {name!r}") from None
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), _NAMES.get(name, name))
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
