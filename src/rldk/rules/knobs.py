"""The configuration keys that fixes name: each concept with the framework's own key, or plain words without one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from rldk.rules.rule import Context, Frame

# concept -> the words for it where the framework is unknown or has no such key
CONCEPTS: dict[str, str] = {
    "lr": "the learning rate",
    "lr_value": "the critic's learning rate",
    "lr_schedule": "the learning-rate schedule",
    "warmup": "the warm-up",
    "total_steps": "the number of training steps",
    "kl_coef": "the KL coefficient",
    "kl_target": "the KL target",
    "kl_estimator": "the KL estimator",
    "target_kl": "the KL limit for early stopping of an update",
    "clip_range": "the clip range",
    "clip_high": "the upper clip range",
    "clip_value": "the value clip range",
    "epochs": "the number of passes over each rollout batch",
    "batch": "the batch size",
    "minibatch": "the mini-batch size",
    "grad_accum": "gradient accumulation",
    "group_size": "the number of completions per prompt",
    "max_grad_norm": "the gradient clipping norm",
    "temperature": "the sampling temperature",
    "top_p": "top-p sampling",
    "top_k": "top-k sampling",
    "max_new_tokens": "the response length limit",
    "max_prompt_tokens": "the prompt length limit",
    "mask_truncated": "masking of truncated responses",
    "overlong_penalty": "a soft penalty for overlong responses",
    "missing_eos_penalty": "a penalty for responses without an end token",
    "entropy_coef": "the entropy coefficient",
    "value_coef": "the value-loss coefficient",
    "gamma": "the discount factor",
    "gae_lambda": "the GAE lambda",
    "normalize_advantage": "advantage normalisation",
    "target_update": "how often the target network is updated",
    "buffer_size": "the size of the replay buffer",
    "reward_scale": "reward scaling",
    "reward_clip": "reward clipping",
    "reward_weights": "the weights of the reward functions",
    "reward_fn": "the reward function",
    "dynamic_sampling": "filtering of groups without signal",
    "loss_type": "the loss type",
    "ref_model": "the reference model",
    "sync_ref": "syncing of the reference model",
    "is_correction": "importance-sampling correction of the rollout engine",
    "rollout_engine": "the rollout engine",
    "staleness": "the bound on policy lag",
    "dtype": "the numeric precision",
    "seed": "the seed",
    "dropout": "dropout",
    "dpo_beta": "the preference beta",
    "kto_weights": "the desirable and undesirable weights",
    "save_steps": "the checkpoint interval",
    "log_steps": "the logging interval",
    "eval_steps": "the evaluation interval",
    "resume": "the checkpoint to resume from",
    "dataloader": "the data loader",
    "weight_decay": "weight decay",
    "optimizer": "the optimiser",
}

_TRANSFORMERS: dict[str, str] = {
    "lr": "learning_rate",
    "lr_schedule": "lr_scheduler_type",
    "warmup": "warmup_steps",
    "total_steps": "max_steps",
    "batch": "per_device_train_batch_size",
    "grad_accum": "gradient_accumulation_steps",
    "max_grad_norm": "max_grad_norm",
    "dtype": "bf16",
    "seed": "seed",
    "save_steps": "save_steps",
    "log_steps": "logging_steps",
    "eval_steps": "eval_steps",
    "resume": "resume_from_checkpoint",
    "dataloader": "dataloader_num_workers",
    "weight_decay": "weight_decay",
    "optimizer": "optim",
}
_TRL: dict[str, str] = {
    **_TRANSFORMERS,
    "kl_coef": "beta",
    "clip_range": "epsilon",
    "clip_high": "epsilon_high",
    "epochs": "num_iterations",
    "group_size": "num_generations",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_new_tokens": "max_completion_length",
    "mask_truncated": "mask_truncated_completions",
    "entropy_coef": "entropy_coef",
    "normalize_advantage": "scale_rewards",
    "reward_weights": "reward_weights",
    "reward_fn": "reward_funcs",
    "loss_type": "loss_type",
    "ref_model": "ref_model",
    "sync_ref": "sync_ref_model",
    "is_correction": "vllm_importance_sampling_correction",
    "rollout_engine": "use_vllm",
}
_TRL_PREFERENCE: dict[str, str] = {
    **_TRANSFORMERS,
    "kl_coef": "beta",
    "dpo_beta": "beta",
    "epochs": "num_train_epochs",
    "loss_type": "loss_type",
    "ref_model": "ref_model",
    "sync_ref": "sync_ref_model",
}
_VERL: dict[str, str] = {
    "lr": "actor_rollout_ref.actor.optim.lr",
    "lr_value": "critic.optim.lr",
    "lr_schedule": "actor_rollout_ref.actor.optim.lr_scheduler_type",
    "warmup": "actor_rollout_ref.actor.optim.lr_warmup_steps",
    "total_steps": "trainer.total_training_steps",
    "kl_coef": "actor_rollout_ref.actor.kl_loss_coef",
    "kl_target": "algorithm.kl_ctrl.target_kl",
    "kl_estimator": "actor_rollout_ref.actor.kl_loss_type",
    "clip_range": "actor_rollout_ref.actor.clip_ratio",
    "clip_high": "actor_rollout_ref.actor.clip_ratio_high",
    "clip_value": "critic.cliprange_value",
    "epochs": "actor_rollout_ref.actor.ppo_epochs",
    "batch": "data.train_batch_size",
    "minibatch": "actor_rollout_ref.actor.ppo_mini_batch_size",
    "group_size": "actor_rollout_ref.rollout.n",
    "max_grad_norm": "actor_rollout_ref.actor.optim.clip_grad",
    "temperature": "actor_rollout_ref.rollout.temperature",
    "top_p": "actor_rollout_ref.rollout.top_p",
    "top_k": "actor_rollout_ref.rollout.top_k",
    "max_new_tokens": "data.max_response_length",
    "max_prompt_tokens": "data.max_prompt_length",
    "entropy_coef": "actor_rollout_ref.actor.entropy_coeff",
    "gamma": "algorithm.gamma",
    "gae_lambda": "algorithm.lam",
    "normalize_advantage": "algorithm.norm_adv_by_std_in_grpo",
    "reward_fn": "reward.custom_reward_function.path",
    "dynamic_sampling": "algorithm.filter_groups.enable",
    "loss_type": "actor_rollout_ref.actor.policy_loss.loss_mode",
    "ref_model": "actor_rollout_ref.model.path",
    "is_correction": "algorithm.rollout_correction.rollout_is",
    "rollout_engine": "actor_rollout_ref.rollout.name",
    "staleness": "trainer.v1.sampler.max_off_policy_threshold",
    "dtype": "actor_rollout_ref.rollout.dtype",
    "seed": "data.seed",
    "save_steps": "trainer.save_freq",
    "eval_steps": "trainer.test_freq",
    "resume": "trainer.resume_mode",
    "dataloader": "data.dataloader_num_workers",
    "weight_decay": "actor_rollout_ref.actor.optim.weight_decay",
    "optimizer": "actor_rollout_ref.actor.optim.optimizer",
}
_SB3: dict[str, str] = {
    "lr": "learning_rate",
    "total_steps": "total_timesteps",
    "target_kl": "target_kl",
    "clip_range": "clip_range",
    "clip_value": "clip_range_vf",
    "epochs": "n_epochs",
    "batch": "n_steps",
    "minibatch": "batch_size",
    "max_grad_norm": "max_grad_norm",
    "entropy_coef": "ent_coef",
    "value_coef": "vf_coef",
    "gamma": "gamma",
    "gae_lambda": "gae_lambda",
    "normalize_advantage": "normalize_advantage",
    "reward_scale": "VecNormalize(norm_reward=True)",
    "reward_clip": "VecNormalize(clip_reward=...)",
    "target_update": "target_update_interval",
    "buffer_size": "buffer_size",
    "seed": "seed",
}
_OPENRLHF_PAIRS: dict[str, str] = {
    "lr": "--adam.lr",
    "lr_schedule": "--lr_scheduler",
    "warmup": "--lr_warmup_ratio",
    "epochs": "--train.max_epochs",
    "batch": "--train.batch_size",
    "max_grad_norm": "--max_norm",
    "dtype": "--ds.param_dtype",
    "seed": "--train.seed",
    "save_steps": "--ckpt.save_steps",
    "log_steps": "--logger.logging_steps",
    "eval_steps": "--eval.steps",
    "resume": "--ckpt.load_enable",
    "dataloader": "--data.dataloader_num_workers",
    "weight_decay": "--adam.weight_decay",
    "optimizer": "--optim",
}

# framework, or framework/algorithm where its trainers differ -> concept -> key. Read off the configuration classes of
# trl 1.16.0 (PPO: 1.12.0), transformers 5.23.0, verl 0.9.1, openrlhf 0.11.2, stable-baselines3 2.9.2, ray 2.60.0 and
# cleanrl's ppo.py. A concept that a framework has no key for is left out: its plain words are printed then.
KEYS: dict[str, dict[str, str]] = {
    "transformers": _TRANSFORMERS,
    "trl": _TRL,
    "trl/rloo": {**_TRL, "normalize_advantage": "normalize_advantages", "reward_clip": "reward_clip_range"},
    "trl/dpo": _TRL_PREFERENCE,
    "trl/kto": {**_TRL_PREFERENCE, "kto_weights": "desirable_weight"},
    "trl/reward_model": {**_TRANSFORMERS, "epochs": "num_train_epochs"},
    "trl/sft": {**_TRANSFORMERS, "epochs": "num_train_epochs"},
    "trl/ppo": {
        **_TRANSFORMERS,
        "total_steps": "total_episodes",
        "kl_coef": "kl_coef",
        "kl_estimator": "kl_estimator",
        "clip_range": "cliprange",
        "clip_value": "cliprange_value",
        "epochs": "num_ppo_epochs",
        "minibatch": "num_mini_batches",
        "temperature": "temperature",
        "max_new_tokens": "response_length",
        "missing_eos_penalty": "missing_eos_penalty",
        "value_coef": "vf_coef",
        "gamma": "gamma",
        "gae_lambda": "lam",
        "reward_scale": "whiten_rewards",
        "reward_fn": "reward_model",
        "ref_model": "ref_model",
    },
    "verl": _VERL,
    "verl/ppo": {**_VERL, "kl_coef": "algorithm.kl_ctrl.kl_coef"},
    "openrlhf": {
        "lr": "--actor.adam.lr",
        "lr_value": "--critic.adam.lr",
        "lr_schedule": "--actor.lr_scheduler",
        "warmup": "--actor.lr_warmup_ratio",
        "total_steps": "--train.num_episodes",
        "kl_coef": "--algo.kl.init_coef",
        "kl_target": "--algo.kl.target",
        "kl_estimator": "--algo.kl.estimator",
        "clip_range": "--actor.eps_clip",
        "clip_high": "--actor.eps_clip_low_high",
        "clip_value": "--critic.value_clip",
        "epochs": "--train.max_epochs",
        "batch": "--rollout.batch_size",
        "minibatch": "--train.batch_size",
        "group_size": "--rollout.n_samples_per_prompt",
        "max_grad_norm": "--actor.max_norm",
        "temperature": "--rollout.temperature",
        "top_p": "--rollout.top_p",
        "max_new_tokens": "--rollout.max_new_tokens",
        "overlong_penalty": "--reward.overlong_penalty_factor",
        "missing_eos_penalty": "--reward.stop_properly_penalty_coef",
        "entropy_coef": "--actor.entropy_coef",
        "gamma": "--algo.advantage.gamma",
        "gae_lambda": "--algo.advantage.lambd",
        "reward_scale": "--reward.normalize_enable",
        "reward_clip": "--reward.clip_range",
        "reward_fn": "--reward.remote_url",
        "dynamic_sampling": "--algo.dynamic_filtering_enable",
        "loss_type": "--actor.policy_loss_type",
        "is_correction": "--algo.advantage.is_correction_level",
        "staleness": "--train.async_queue_size",
        "dtype": "--ds.param_dtype",
        "seed": "--train.seed",
        "save_steps": "--ckpt.save_steps",
        "log_steps": "--logger.logging_steps",
        "eval_steps": "--eval.steps",
        "resume": "--ckpt.load_enable",
        "dataloader": "--data.dataloader_num_workers",
        "weight_decay": "--actor.adam.weight_decay",
        "optimizer": "--actor.optim",
    },
    "openrlhf/dpo": {**_OPENRLHF_PAIRS, "dpo_beta": "--model.beta", "ref_model": "--ref.model_name_or_path"},
    "openrlhf/reward_model": {**_OPENRLHF_PAIRS, "loss_type": "--model.loss_type"},
    "openrlhf/sft": _OPENRLHF_PAIRS,
    "stable_baselines3": _SB3,
    "sb3": _SB3,
    "rllib": {
        "lr": "lr",
        "target_update": "target_network_update_freq",
        "kl_coef": "kl_coeff",
        "kl_target": "kl_target",
        "clip_range": "clip_param",
        "clip_value": "vf_clip_param",
        "epochs": "num_epochs",
        "batch": "train_batch_size_per_learner",
        "minibatch": "minibatch_size",
        "max_grad_norm": "grad_clip",
        "entropy_coef": "entropy_coeff",
        "value_coef": "vf_loss_coeff",
        "gamma": "gamma",
        "gae_lambda": "lambda_",
        "seed": "seed",
    },
    "cleanrl": {
        "lr": "--learning-rate",
        "lr_schedule": "--anneal-lr",
        "total_steps": "--total-timesteps",
        "target_kl": "--target-kl",
        "clip_range": "--clip-coef",
        "clip_value": "--clip-vloss",
        "epochs": "--update-epochs",
        "batch": "--num-steps",
        "minibatch": "--num-minibatches",
        "max_grad_norm": "--max-grad-norm",
        "entropy_coef": "--ent-coef",
        "value_coef": "--vf-coef",
        "gamma": "--gamma",
        "gae_lambda": "--gae-lambda",
        "normalize_advantage": "--norm-adv",
        "target_update": "--target-network-frequency",
        "buffer_size": "--buffer-size",
        "seed": "--seed",
    },
}


@cache
def keys_of(concept: str) -> tuple[str, ...]:
    """Every spelling that a logged configuration may have for the concept, over all frameworks."""
    spelled = (keys[concept].lstrip("-").replace("-", "_") for keys in KEYS.values() if concept in keys)
    return tuple(dict.fromkeys(spelled))


@cache
def steering_keys() -> frozenset[str]:
    """The configuration keys that are known to steer a training; the seed's are not among them."""
    return frozenset(key for concept in CONCEPTS if concept != "seed" for key in keys_of(concept))


def number(value: object) -> float:
    """A configuration value as a number (some logs write numbers as text); NaN when it is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def setting(f: Frame, concept: str) -> float:
    """The number that the run's configuration has for the concept; NaN when it has none."""
    return number(f.config(*keys_of(concept)))


def lacks(concept: str) -> Callable[[Context], str | None]:
    """The `unless` of a rule that cannot work without this number of the configuration."""

    def unless(context: Context) -> str | None:
        if any(math.isfinite(number(context.config.get(key))) for key in keys_of(concept)):
            return None
        return f"needs {CONCEPTS[concept]} in the run's configuration, which this log does not carry"

    return unless


def phrase(fix: str, framework: str | None, algorithm: str | None = None) -> str:
    """The fix with every `{concept}` replaced by the framework's own key, or by plain words where there is no key.

    Raises KeyError on a concept that `CONCEPTS` does not have."""
    keys = KEYS.get(f"{framework}/{algorithm}", KEYS.get(framework or "", {}))
    return fix.format_map({c: f"`{keys[c]}`" if c in keys else words for c, words in CONCEPTS.items()})
