"""Reward models and reward functions: is the reward real, and do two of them agree?"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.reward.assessment import health
    from rldk.reward.healthy import RewardHealth, reward_health
    from rldk.reward.model_report import RewardModelReport
    from rldk.reward.models import compare_models
    from rldk.reward.report import RewardHealthReport

__all__ = [
    "RewardHealth",
    "RewardHealthReport",
    "RewardModelReport",
    "compare_models",
    "health",
    "reward_health",
]

_HOMES = {
    "RewardHealth": "rldk.reward.healthy",
    "RewardHealthReport": "rldk.reward.report",
    "RewardModelReport": "rldk.reward.model_report",
    "compare_models": "rldk.reward.models",
    "health": "rldk.reward.assessment",
    "reward_health": "rldk.reward.healthy",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.reward' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
