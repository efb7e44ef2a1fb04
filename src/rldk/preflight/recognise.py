"""Which trainer a configuration is of, and which algorithm, by the names of its keys and by its command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct


class Recognised(Struct, frozen=True, kw_only=True):
    """A trainer and an algorithm; None where they are not known. `how`: what gave them away."""

    framework: str | None = None
    algorithm: str | None = None
    how: str = ""


# TRL: keys that one configuration class alone has (of trl 0.23 to 1.16)
_TRL_KEYS: tuple[tuple[str, frozenset[str]], ...] = (
    ("rloo", frozenset({"normalize_advantages", "rloo_k", "reward_clip_range"})),
    ("grpo", frozenset({"num_generations", "num_iterations", "scale_rewards", "epsilon_high", "reward_weights"})),
    ("ppo", frozenset({"num_ppo_epochs", "cliprange_value", "total_episodes", "missing_eos_penalty"})),
    ("kto", frozenset({"desirable_weight", "undesirable_weight"})),
    ("orpo", frozenset({"orpo_alpha"})),
    ("cpo", frozenset({"cpo_alpha", "simpo_gamma"})),
    ("dpo", frozenset({"precompute_ref_log_probs", "label_smoothing_factor_dpo", "rpo_alpha", "reference_free"})),
    ("reward_model", frozenset({"center_rewards_coefficient"})),
    ("sft", frozenset({"dataset_text_field", "packing", "assistant_only_loss", "completion_only_loss"})),
)
_TRANSFORMERS = frozenset({"per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs"})
_TRL_SCRIPT = frozenset({"dataset_name", "model_name_or_path", "use_peft", "trust_remote_code"})
_TRL_COMMANDS = {"grpo": "grpo", "rloo": "rloo", "dpo": "dpo", "kto": "kto", "sft": "sft", "reward": "reward_model"}
_DPO_LOSSES = frozenset({"sigmoid", "hinge", "ipo", "robust", "apo_zero", "apo_down", "sppo_hard", "nca_pair"})
_VERL = ("actor_rollout_ref.", "critic.optim", "algorithm.adv_estimator", "trainer.n_gpus_per_node")
_VERL_ADVANTAGE = (
    ("grpo", "grpo"),
    ("rloo", "rloo"),
    ("gae", "ppo"),
    ("reinforce", "reinforce"),
    ("remax", "reinforce"),
)
_OPENRLHF = ("rollout.n_samples_per_prompt", "actor.adam.lr", "algo.", "train.micro_batch_size", "ds.zero_stage")
_OPENRLHF_MODULES = {"train_dpo": "dpo", "train_rm": "reward_model", "train_sft": "sft"}
_OPENRLHF_ADVANTAGE = {
    "gae": "ppo",
    "group_norm": "grpo",
    "dr_grpo": "grpo",
    "rloo": "rloo",
    "reinforce": "reinforce",
    "reinforce_baseline": "reinforce",
}


def recognise(values: Mapping[str, Any], command: Sequence[str] = ()) -> Recognised:
    """The trainer by the module or program of the command, else by the keys of the configuration."""
    words = " ".join(command)
    if "openrlhf.cli" in words or _any_starts(values, _OPENRLHF):
        return _openrlhf(values, words)
    if "verl.trainer" in words or _any_starts(values, _VERL):
        return _verl(values, words)
    return _trl(values, command)


def _any_starts(values: Iterable[str], starts: tuple[str, ...]) -> bool:
    return any(key.startswith(starts) for key in values)


def _openrlhf(values: Mapping[str, Any], words: str) -> Recognised:
    module = next((name for name in _OPENRLHF_MODULES if name in words), "")
    if module:
        return Recognised(framework="openrlhf", algorithm=_OPENRLHF_MODULES[module], how=f"module {module}")
    estimator = str(values.get("algo.advantage.estimator", "gae"))
    how = "module openrlhf.cli" if "openrlhf.cli" in words else "keys of OpenRLHF's command line"
    return Recognised(framework="openrlhf", algorithm=_OPENRLHF_ADVANTAGE.get(estimator), how=how)


def _verl(values: Mapping[str, Any], words: str) -> Recognised:
    how = "module verl.trainer" if "verl.trainer" in words else "keys such as actor_rollout_ref"
    if "sft" in words or not _any_starts(values, ("actor_rollout_ref.", "algorithm.")):
        return Recognised(framework="verl", algorithm="sft", how=how)
    estimator = str(values.get("algorithm.adv_estimator") or "gae").lower()
    algorithm = next((name for word, name in _VERL_ADVANTAGE if word in estimator), None)
    return Recognised(framework="verl", algorithm=algorithm, how=how)


def _trl(values: Mapping[str, Any], command: Sequence[str]) -> Recognised:
    for at, word in enumerate(command[:-1]):
        if word.rpartition("/")[2] == "trl" and command[at + 1] in _TRL_COMMANDS:
            said = command[at + 1]
            return Recognised(framework="trl", algorithm=_TRL_COMMANDS[said], how=f"command trl {said}")
    for algorithm, keys in _TRL_KEYS:
        own = sorted(keys & values.keys())
        if own:
            return Recognised(framework="trl", algorithm=algorithm, how=f"key {own[0]}")
    if values.get("loss_type") in _DPO_LOSSES or ("beta" in values and "max_prompt_length" in values):
        return Recognised(framework="trl", algorithm="dpo", how="keys beta and loss_type")
    if _TRL_SCRIPT & values.keys():
        return Recognised(framework="trl", how=f"key {min(_TRL_SCRIPT & values.keys())}")
    if _TRANSFORMERS & values.keys():
        return Recognised(framework="transformers", how=f"key {min(_TRANSFORMERS & values.keys())}")
    return Recognised()
