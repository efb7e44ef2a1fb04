"""The runs of the small language model, under the names and in the files of the frameworks for large ones."""

from __future__ import annotations

import random

from benchmarks.corpus.group import Args, Group

SINKS = {
    "verl": ("verl_file", "verl_console", "jsonl"),
    "openrlhf": ("openrlhf_console", "tensorboard", "jsonl"),
    "trl_grpo": ("jsonl", "csv"),
    "trl_ppo": ("jsonl", "tensorboard"),
    "open_instruct": ("jsonl", "csv"),
    "skyrl": ("tensorboard", "jsonl"),
    "slime": ("jsonl", "tensorboard"),
    "canonical": ("jsonl", "csv"),
}
# faults that show only in numbers which most frameworks do not log
HIDDEN = {
    "memory_leak",
    "stale_rollouts",
    "dropout_mismatch",
    "adv_not_centred",
    "adv_raw",
    "controller_stuck",
    "kl_coef_zero",
    "kl_coef_huge",
    "kl_sign",
    "value_frozen",
    "throughput_rot",
}


def _vary(rng: random.Random, dialects: tuple[str, ...]) -> Args:
    pick = rng.choice
    dialect = pick(dialects)
    args: Args = {
        "dialect": dialect,
        "sink": pick(SINKS[dialect]),
        "all_keys": rng.random() < 0.4,
        "net": pick(("gru", "gru", "attn")),
        "vocab": pick((16, 24, 40)),
        "width": pick((32, 48, 64)),
        "batch": pick((32, 64, 96)),
        "lr": pick((1e-3, 2e-3, 3e-3)),
        "length": pick((12, 16, 28)),
        "mean_length": pick((4.0, 6.0, 9.0)),
        "schedule": pick(("constant", "linear", "cosine")),
        "warmup": pick((0, 0, 5, 15)),
        "epochs": pick((1, 1, 2, 4)),
        "minibatches": pick((1, 2, 4)),
        "task": pick(("share", "share", "length", "rising", "sparse", "hard", "easy")),
        "noise": pick((0.0, 0.0, 0.1, 0.3)),
        "entropy_coef": pick((0.0, 0.0, 0.003, 0.02)),
        "steps": pick((60, 100, 140, 200)),
        "max_grad_norm": pick((0.5, 1.0, 10.0)),
    }
    chance = rng.random()
    if chance < 0.15:
        args |= {"resume_at": args["steps"] // 2, "lost": pick((1, 5, 12))}
    elif chance < 0.3:
        args |= {"every": pick((2, 3)), "irregular": True}
    if rng.random() < 0.3:
        args["eval_every"] = 20
    return args


def _ppo(rng: random.Random) -> Args:
    args = _vary(rng, ("verl", "verl", "openrlhf", "openrlhf", "trl_ppo", "skyrl", "slime", "canonical"))
    args |= {
        "kl_coef": rng.choice((0.02, 0.05, 0.15)),
        "adaptive": rng.random() < 0.6,
        "kl_target": rng.choice((2.0, 4.0)),
        "gain": rng.choice((0.1, 0.5)),
        "lam": rng.choice((0.95, 1.0)),
        "whiten": rng.random() < 0.85,
    }
    return args


def _grpo(rng: random.Random) -> Args:
    args = _vary(rng, ("verl", "verl", "openrlhf", "trl_grpo", "open_instruct", "skyrl", "slime", "canonical"))
    args |= {"group": rng.choice((4, 8, 16)), "kl_coef": rng.choice((0.01, 0.05, 0.1)), "scale_std": rng.random() < 0.8}
    if rng.random() < 0.35:  # as DAPO: no KL term, a wider upper limit
        args |= {"use_kl": False, "clip_high": 0.28, "algo_name": "dapo"}
    return args


def _break(args: Args, fault: str, start: bool, rng: random.Random) -> Args:
    more: Args = {
        "task": rng.choice(("share", "share", "length", "rising")),
        "noise": rng.choice((0.0, 0.1)),
        "every": 1,
        "steps": 70 if start else rng.choice((90, 120)),
    }
    if fault in HIDDEN:
        more["all_keys"] = True
    if fault == "controller_stuck":
        more |= {"adaptive": True, "gain": 0.5}
    elif fault.startswith(("kl_", "ref_")):
        more["kl_coef"] = 0.1
    if fault.startswith(("kl_", "ref_")):
        more["use_kl"] = True
    if fault == "epochs_many":
        more["steps"] = 40 if start else 60
    if fault == "lr_high":
        more["lr"] = 30 * args["lr"]
    if fault in {"adv_not_centred", "adv_raw"}:
        more |= {"whiten": True, "scale_std": True, "task": "share"}
    return {key: value for key, value in (args | more).items() if key not in {"resume_at", "lost", "irregular"}}


def _onset(args: Args, rng: random.Random) -> int:
    return rng.choice((24, 30, 40, 55)) if args["steps"] > 60 else 24


_BOTH = """
        lr_zero:sm lr_high:s lr_jump:m no_update:sm adv_sign:sm constant_reward:sm zero_reward:sm reward_nan:m
        reward_scale:m reward_noise:m reward_saturate:m reward_sign:m length_hack:sm no_eos:sm cold_sampling:sm
        hot_sampling:sm top_p:m stale_rollouts:sm dropout_mismatch:sm adv_not_centred:m adv_raw:m
        entropy_negative:sm entropy_huge:s grad_explode:sm grad_vanish:sm loss_nan:sm clip_zero:s clip_wide:s
        epochs_many:sm batch_tiny:m memory_leak:sm throughput_rot:m ref_follows:m ref_is_policy:s ref_wrong:s
        kl_coef_zero:m kl_coef_huge:m kl_sign:m"""


def _table(rng: random.Random) -> Args:
    return {
        "dialect": rng.choice(("verl", "trl_grpo", "canonical", "slime")),
        "sink": "jsonl",
        "lr": rng.choice((0.01, 0.03, 0.06)),
        "batch": rng.choice((32, 64, 128)),
        "group": rng.choice((4, 8)),
        "steps": rng.choice((60, 120, 250, 400)),
        "epochs": rng.choice((1, 2, 4)),
        "schedule": rng.choice(("constant", "linear", "cosine")),
        "warmup": rng.choice((0, 10)),
        "kl_coef": rng.choice((0.0, 0.01, 0.05)),
        "entropy_coef": rng.choice((0.0, 0.005)),
        "noise": rng.choice((0.0, 0.1, 0.3)),
    }


def _break_table(args: Args, fault: str, _start: bool, rng: random.Random) -> Args:
    more: Args = {"steps": rng.choice((90, 140)), "kl_coef": 0.03, "noise": 0.1, "schedule": "constant"}
    if fault == "lr_high":
        more["lr"] = 1.5
    return args | more


_LM = {"module": "lm_runs", "framework": "lm", "change": _break, "onsets": _onset}
GROUPS = (
    Group(
        algo="ppo",
        healthy=36,
        vary=_ppo,
        tolerated=("VAL",),
        **_LM,
        faults=_BOTH + " controller_stuck:m value_frozen:sm value_target_wrong:sm value_lr_zero:s gamma_zero:sm",
    ),
    Group(algo="grpo", healthy=36, vary=_grpo, **_LM, faults=_BOTH),
    Group(
        module="numpy_table",
        framework="table",
        algo="grpo",
        healthy=14,
        vary=_table,
        change=_break_table,
        onsets=_onset,
        faults="""
        lr_zero:sm lr_high:s lr_jump:m no_update:sm adv_sign:m constant_reward:m zero_reward:s reward_scale:m
        reward_noise:m reward_sign:m cold_sampling:m hot_sampling:m adv_not_centred:m adv_raw:m
        entropy_negative:m grad_explode:m grad_vanish:sm loss_nan:m kl_sign:s""",
    ),
)
