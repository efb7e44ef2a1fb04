"""What the arguments of a trainer say about it: its algorithm, how it names its metrics, its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rldk.emit import launch_rank
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.recorder import config_of

# the class of the arguments -> (algorithm, dialect of core/data/metrics.yaml)
KINDS: dict[str, tuple[str, str]] = {
    "GRPOConfig": ("grpo", "trl_grpo"),
    "RLOOConfig": ("rloo", "trl_rloo"),
    "PPOConfig": ("ppo", "trl_ppo"),
    "DPOConfig": ("dpo", "trl_dpo"),
    "OnlineDPOConfig": ("online_dpo", "trl_online_dpo"),
    "KTOConfig": ("kto", "trl_kto"),
    "ORPOConfig": ("orpo", "trl_orpo"),
    "RewardConfig": ("reward_model", "trl_reward"),
    "SFTConfig": ("sft", "trl_sft"),
}


def origin_of(args: Any, state: Any, field_map: Mapping[str, str] | None = None) -> TrainingOrigin:
    """What the arguments and the state of a trainer say before its first row."""
    names = [kind.__name__ for kind in type(args).__mro__]
    algorithm, dialect = next((KINDS[name] for name in names if name in KINDS), (None, "transformers"))
    steps = getattr(state, "max_steps", 0) or getattr(args, "max_steps", 0) or 0
    return TrainingOrigin(
        framework="trl" if algorithm else "transformers",
        algorithm=algorithm,
        dialect=dialect,
        total_steps=int(steps) if steps > 0 else None,
        config=configuration(args),
        field_map=field_map,
    )


def configuration(args: Any) -> dict[str, Any]:
    """The trainer's configuration as plain values, without secrets."""
    try:
        return config_of(args.to_dict())
    except Exception:  # noqa: BLE001 - arguments of any shape must not end a training
        return config_of(args)


def rank_of(args: Any) -> int:
    """The number of this process among those of the training."""
    rank = getattr(args, "process_index", None)
    return int(rank) if isinstance(rank, int) else launch_rank()
