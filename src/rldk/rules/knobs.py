"""The configuration keys that fixes name: concept -> the framework's own key, or plain words where it has none."""

from __future__ import annotations

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

# framework -> concept -> key
KEYS: dict[str, dict[str, str]] = {
    "trl": {"lr": "learning_rate"},
}


def phrase(fix: str, framework: str | None) -> str:
    """The fix with every `{concept}` replaced by the framework's own key, or by plain words where it has none."""
    keys = KEYS.get(framework or "", {})
    return fix.format_map({c: f"`{keys[c]}`" if c in keys else words for c, words in CONCEPTS.items()})
