"""The runs of TRL."""

from __future__ import annotations

import random

from benchmarks.corpus.group import Args, Group

SCHEDULES = ("constant", "linear", "cosine", "constant_with_warmup")


def _online(rng: random.Random) -> Args:
    pick = rng.choice
    args: Args = {
        "task": pick(("low", "low", "parity", "pool", "sparse", "hard", "solved")),
        "lr": pick((3e-4, 1e-3, 1e-3, 2e-3)),
        "beta": pick((0.0, 0.01, 0.04, 0.1)),
        "group": pick((4, 8)),
        "batch": pick((16, 16, 32)),
        "length": pick((16, 24, 32)),
        "schedule": pick(SCHEDULES),
        "warmup": pick((0, 0, 5, 10)),
        "iterations": pick((1, 1, 2, 4)),
        "noise": pick((0.0, 0.0, 0.1, 0.3)),
        "brevity": rng.random() < 0.3,
        "model": pick(("qwen2", "gpt2")),
        "mean_length": pick((6, 9, 14)),
        "printer": rng.random() < 0.3,
        "steps": pick((45, 60, 80, 100)),
    }
    if rng.random() < 0.4:
        args["eval_every"] = 20
    if rng.random() < 0.3:
        args["accumulate"] = 2
    if rng.random() < 0.15:
        args["logging_steps"] = 2
    return args


def _grpo(rng: random.Random) -> Args:
    args = _online(rng)
    args["loss_type"] = rng.choice(("dapo", "dapo", "grpo", "dr_grpo", "bnpo"))
    args["scale_rewards"] = rng.choice(("group", "group", "batch", "none"))
    if rng.random() < 0.3:
        args["epsilon_high"] = 0.28
    return args


def _break_online(args: Args, fault: str, start: bool, rng: random.Random) -> Args:
    more: Args = {
        "task": rng.choice(("low", "low", "parity", "pool")),
        "steps": 50 if start else rng.choice((60, 70, 80)),
        "noise": rng.choice((0.0, 0.0, 0.1)),
    }
    if fault in {"kl_coef_zero", "kl_coef_huge", "kl_sign", "ref_follows", "ref_is_policy", "ref_wrong"}:
        more["beta"] = rng.choice((0.04, 0.1))
    if fault == "kl_sign":
        more["beta"] = 0.2
    if fault in {"constant_reward", "zero_reward"}:
        more["brevity"] = False
    if fault.startswith("entropy"):
        more["entropy_coef"] = 0.001
    if fault in {"clip_zero", "clip_wide"}:
        more |= {"iterations": 4, "lr": 5e-3}
    if fault == "lr_high":
        more["lr"] = 0.06
    if fault == "epochs_many":
        more |= {"iterations": 25, "lr": 2e-3}
    if fault == "batch_tiny":
        more |= {"batch": 2, "group": 2, "accumulate": 1, "eval_every": 0}
    if fault == "dropout_mismatch":
        more |= {"iterations": 2, "model": "gpt2"}
    if fault == "grad_explode":
        more["max_grad_norm"] = 1e9
    return args | more


def _middle(args: Args, rng: random.Random) -> int:
    return rng.randrange(22, args["steps"] - 18)


def _offline(rng: random.Random) -> Args:
    args: Args = {
        "lr": rng.choice((2e-4, 5e-4, 1e-3)),
        "beta": rng.choice((0.05, 0.1, 0.3)),
        "batch": rng.choice((4, 8, 16)),
        "schedule": rng.choice(SCHEDULES),
        "warmup": rng.choice((0, 0, 5, 10)),
        "model": rng.choice(("qwen2", "gpt2")),
        "pretrain": rng.choice((0, 30, 60)),
        "rows": rng.choice((64, 256, 600)),
        "printer": rng.random() < 0.3,
        "steps": rng.choice((50, 80, 120, 160)),
    }
    if rng.random() < 0.5:
        args["eval_every"] = 20
    if rng.random() < 0.2:
        args["accumulate"] = 2
    return args


def _break_offline(args: Args, fault: str, _start: bool, rng: random.Random) -> Args:
    more: Args = {"steps": rng.choice((60, 80, 100))}
    if fault in {"labels_swapped", "labels_random"}:
        more |= {"eval_every": 10, "rows": 600}
    if fault == "lr_high":
        more["lr"] = rng.choice((0.05, 0.1))
    if fault == "grad_explode":
        more["max_grad_norm"] = 1e9
    return args | more


def _ppo(rng: random.Random) -> Args:
    return {
        "lr": rng.choice((3e-4, 1e-3, 2e-3)),
        "kl_coef": rng.choice((0.02, 0.05, 0.1)),
        "batch": rng.choice((16, 32)),
        "steps": rng.choice((40, 60, 80)),
        "epochs": rng.choice((1, 2, 4)),
        "minibatches": rng.choice((1, 2)),
        "length": rng.choice((10, 16)),
        "vf_coef": rng.choice((0.1, 0.5)),
        "schedule": rng.choice(SCHEDULES[:3]),
        "noise": rng.choice((0.0, 0.2)),
        "missing_eos": rng.choice((0.5, 1.0)),
        "mean_length": rng.choice((5, 8)),
        "printer": rng.random() < 0.3,
        "temperature": rng.choice((0.7, 1.0)),
    }


def _break_ppo(args: Args, fault: str, start: bool, _rng: random.Random) -> Args:
    changes: Args = {
        "lr_high": {"lr": 0.05},
        "gamma_zero": {"gamma": 0.0},
        "kl_coef_huge": {"kl_coef": 20.0},
        "kl_sign": {"kl_coef": -0.5},
        "epochs_many": {"epochs": 30, "lr": 2e-3},
        "clip_zero": {"clip": 1e-6},
        "batch_tiny": {"batch": 2, "minibatches": 1},
    }
    return args | {"steps": 50 if start else 60} | changes.get(fault, {})


_ONLINE = {"module": "trl_online", "framework": "trl", "change": _break_online, "onsets": _middle, "limit_s": 110.0}
_OFFLINE = {"module": "trl_offline", "framework": "trl", "vary": _offline, "change": _break_offline, "onsets": _middle}
_WEIGHTS = "lr_zero:s lr_high:s lr_jump:m"
GROUPS = (
    Group(
        algo="grpo",
        healthy=22,
        vary=_grpo,
        **_ONLINE,
        faults="""
        lr_zero:sm lr_high:s lr_jump:m no_update:sm adv_sign:sm kl_coef_zero:m kl_coef_huge:sm kl_sign:sm
        ref_follows:m ref_is_policy:s ref_wrong:s constant_reward:sm zero_reward:sm reward_nan:sm reward_scale:m
        reward_noise:m reward_saturate:m reward_sign:m length_hack:sm no_eos:sm cold_sampling:m hot_sampling:sm
        top_p:sm loss_nan:sm grad_explode:sm grad_vanish:sm clip_zero:s clip_wide:s entropy_negative:sm
        entropy_huge:s epochs_many:s batch_tiny:s dropout_mismatch:s throughput_rot:m""",
    ),
    Group(
        algo="rloo",
        healthy=7,
        vary=_online,
        **_ONLINE,
        faults="""
        lr_zero:s lr_jump:m constant_reward:s no_eos:m loss_nan:m kl_coef_huge:s adv_sign:m reward_scale:m
        lr_high:s""",
    ),
    Group(
        algo="dpo",
        healthy=12,
        **_OFFLINE,
        faults=f"""
        {_WEIGHTS} lr_zero:m no_update:s labels_swapped:s labels_random:s beta_huge:sm beta_tiny:s ref_wrong:s
        ref_is_policy:s ref_follows:m loss_nan:sm grad_explode:m grad_vanish:s pairs_equal:s""",
    ),
    Group(algo="kto", healthy=6, **_OFFLINE, faults=f"{_WEIGHTS} labels_random:s loss_nan:m beta_huge:s ref_wrong:s"),
    Group(
        algo="reward_model",
        healthy=7,
        **_OFFLINE,
        faults=f"""
        {_WEIGHTS} labels_random:s labels_swapped:s loss_nan:m grad_explode:m no_update:s""",
    ),
    Group(algo="sft", healthy=6, **_OFFLINE, faults=f"{_WEIGHTS} loss_nan:sm grad_explode:m no_update:s grad_vanish:s"),
    Group(
        algo="ppo",
        module="trl_ppo",
        framework="trl",
        healthy=12,
        vary=_ppo,
        change=_break_ppo,
        onsets=_middle,
        tolerated=("VAL",),
        limit_s=110.0,
        faults="""
        lr_zero:sm lr_high:s lr_jump:m no_update:sm value_frozen:sm zero_reward:sm constant_reward:s
        reward_scale:m reward_sign:m reward_noise:m length_hack:m kl_coef_zero:m ref_wrong:s ref_follows:m
        gamma_zero:s kl_coef_huge:s kl_sign:s epochs_many:s clip_zero:s batch_tiny:s""",
    ),
)
