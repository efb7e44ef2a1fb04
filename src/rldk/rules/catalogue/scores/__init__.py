"""Rules on rewards and their answers (`rules.score_view`), for `rldk reward-health` and `rldk reward-drift`."""

from rldk.rules.catalogue.scores import (
    data,
    evaluation,
    length,
    reward_calibration,
    reward_drift,
    reward_ensemble,
    reward_saturation,
    reward_shortcuts,
    reward_versions,
)

__all__ = [
    "data",
    "evaluation",
    "length",
    "reward_calibration",
    "reward_drift",
    "reward_ensemble",
    "reward_saturation",
    "reward_shortcuts",
    "reward_versions",
]
