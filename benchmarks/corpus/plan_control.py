"""The runs on control tasks: Stable-Baselines3 and the loops that log as CleanRL does."""

from __future__ import annotations

import random

from benchmarks.corpus.group import Args, Group


def _ppo(rng: random.Random) -> Args:
    pick = rng.choice
    env = pick(("CartPole-v1", "CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCarContinuous-v0"))
    kwargs: Args = {
        "n_steps": pick((64, 128)),
        "batch_size": pick((64, 128)),
        "n_epochs": pick((4, 10)),
        "gae_lambda": pick((0.9, 0.95)),
        "learning_rate": pick((3e-4, 1e-3)),
        "ent_coef": pick((0.0, 0.0, 0.01)),
        "gamma": 0.9 if env[0] == "P" else 0.99,
        "clip_range": pick((0.1, 0.2, 0.2, 0.3)),
    }
    args: Args = {
        "env": env,
        "n_envs": 8,
        "kwargs": kwargs,
        "timesteps": pick((25_000, 40_000, 60_000)),
        "net": [64, 64],
        "decay": rng.random() < 0.3,
        "normalise": env[0] in "PM" or rng.random() < 0.2,
    }
    return args | ({"tb": True} if rng.random() < 0.25 else {}) | ({"reward_noise": 0.1} if rng.random() < 0.2 else {})


def _a2c(rng: random.Random) -> Args:
    kwargs: Args = {
        "n_steps": rng.choice((5, 16)),
        "learning_rate": rng.choice((7e-4, 1e-3)),
        "gae_lambda": rng.choice((1.0, 0.95)),
        "ent_coef": rng.choice((0.0, 0.01)),
    }
    env = rng.choice(("CartPole-v1", "CartPole-v1", "Acrobot-v1"))
    return {
        "env": env,
        "n_envs": 8,
        "kwargs": kwargs,
        "timesteps": 40_000,
        "log_interval": 400 // kwargs["n_steps"] // 5 * 5,
        "decay": rng.random() < 0.3,
    }


def _dqn(rng: random.Random) -> Args:
    env = rng.choice(("CartPole-v1", "CartPole-v1", "Acrobot-v1"))
    kwargs: Args = {
        "learning_rate": rng.choice((5e-4, 1e-3, 2e-3)),
        "buffer_size": rng.choice((10_000, 50_000)),
        "learning_starts": 1000,
        "batch_size": 64,
        "train_freq": 4,
        "target_update_interval": rng.choice((250, 500)),
        "gradient_steps": rng.choice((1, 2)),
        "exploration_fraction": rng.choice((0.2, 0.4)),
        "exploration_final_eps": 0.05,
    }
    short = env == "CartPole-v1"
    return {"env": env, "kwargs": kwargs, "timesteps": 20_000, "net": [64, 64], "log_interval": 6 if short else 1}


def _continuous(rng: random.Random) -> Args:
    kwargs: Args = {
        "learning_rate": rng.choice((3e-4, 1e-3)),
        "buffer_size": 20_000,
        "learning_starts": rng.choice((200, 600)),
        "train_freq": 2,
        "batch_size": rng.choice((64, 128)),
        "gamma": rng.choice((0.95, 0.98)),
    }
    return {"env": "Pendulum-v1", "kwargs": kwargs, "timesteps": 6000, "net": [64, 64], "log_interval": 1}


_KWARGS: Args = {
    "buffer_tiny": {"buffer_size": 70},
    "never_learns": {"learning_starts": 10**9},
    "batch_tiny": {"batch_size": 4, "n_steps": 8},
}


def _break_sb3(args: Args, fault: str, _start: bool, _rng: random.Random) -> Args:
    kwargs = {**args["kwargs"], **_KWARGS.get(fault, {})}
    if fault == "lr_high":
        kwargs["learning_rate"] = 40 * kwargs["learning_rate"]
    out = {**args, "kwargs": kwargs}
    if fault == "reward_unscaled":
        out |= {"reward_scale": 1000.0, "normalise": False}
    if fault == "norm_lost":
        out |= {"env": "Pendulum-v1", "normalise": True}
    elif args["env"].startswith("Mountain"):
        out["env"] = "CartPole-v1"
    if fault in {"reward_scale", "reward_noise"}:
        out["normalise"] = False
    if fault in {"epochs_many", "batch_tiny"}:
        out["timesteps"] = 12_000
    return out


def _update(args: Args, rng: random.Random) -> int:
    return int(rng.uniform(0.4, 0.6) * args["timesteps"] / args["n_envs"] / args["kwargs"]["n_steps"])


def _env_step(args: Args, rng: random.Random) -> int:
    return int(rng.uniform(0.5, 0.65) * args["timesteps"])


def _clean_ppo(rng: random.Random) -> Args:
    pick = rng.choice
    args: Args = {
        "env": pick(("CartPole-v1", "CartPole-v1", "Acrobot-v1")),
        "n_envs": pick((4, 8)),
        "horizon": pick((64, 128)),
        "epochs": pick((2, 4)),
        "minibatches": pick((2, 4)),
        "lr": pick((5e-4, 1e-3, 2.5e-3)),
        "updates": pick((50, 80, 120)),
        "anneal": rng.random() < 0.5,
        "sink": pick(("tensorboard", "tensorboard", "jsonl")),
        "width": pick((32, 64)),
        "ent_coef": pick((0.0, 0.01, 0.02)),
        "norm_adv": rng.random() < 0.8,
        "gamma": pick((0.98, 0.99)),
    }
    return (
        args
        | ({"reward_scale": 0.1} if rng.random() < 0.2 else {})
        | ({"reward_noise": 0.3} if rng.random() < 0.2 else {})
    )


def _break_clean(args: Args, fault: str, start: bool, _rng: random.Random) -> Args:
    more: Args = {"lr": 40 * args["lr"]} if fault == "lr_high" else {}
    if "updates" in args:
        more["updates"] = 20 if fault == "epochs_many" and start else 70
        if fault == "adv_raw":
            more["norm_adv"] = True
    return args | more


def _clean_dqn(rng: random.Random) -> Args:
    return {
        "env": rng.choice(("CartPole-v1", "CartPole-v1", "Acrobot-v1")),
        "lr": rng.choice((2.5e-4, 5e-4, 1e-3)),
        "timesteps": rng.choice((15_000, 25_000)),
        "sink": rng.choice(("tensorboard", "jsonl")),
        "sync": rng.choice((250, 500)),
        "explore": rng.choice((0.3, 0.5)),
        "batch": rng.choice((32, 64)),
    }


def _clean_update(_args: Args, rng: random.Random) -> int:
    return rng.randrange(25, 45)


_SB3 = {"module": "sb3_runs", "framework": "sb3", "change": _break_sb3, "limit_s": 110.0}
_CLEAN = {"framework": "cleanrl", "change": _break_clean}
GROUPS = (
    Group(
        algo="ppo",
        healthy=16,
        vary=_ppo,
        onsets=_update,
        **_SB3,
        faults="""
        lr_zero:sm lr_high:s lr_jump:m no_update:sm adv_sign:sm reward_scale:m reward_unscaled:s zero_reward:sm
        constant_reward:s reward_sign:m reward_noise:m gamma_zero:sm value_frozen:sm value_target_wrong:sm
        clip_zero:s clip_wide:s entropy_huge:sm entropy_negative:m epochs_many:s batch_tiny:s norm_lost:m
        throughput_rot:m terminal_as_timeout:s""",
    ),
    Group(
        algo="a2c",
        healthy=6,
        vary=_a2c,
        onsets=_update,
        **_SB3,
        faults="""
        lr_zero:s lr_high:s lr_jump:m entropy_huge:s gamma_zero:s zero_reward:m value_frozen:s""",
    ),
    Group(
        algo="dqn",
        healthy=8,
        vary=_dqn,
        onsets=_env_step,
        **_SB3,
        faults="""
        lr_zero:sm lr_high:s target_never_updated:s buffer_tiny:s never_learns:s exploration_stuck:s
        gamma_zero:s reward_scale:m zero_reward:m reward_sign:m""",
    ),
    Group(
        algo="sac",
        healthy=4,
        vary=_continuous,
        onsets=_env_step,
        **_SB3,
        faults="""
        lr_zero:s lr_high:s reward_unscaled:s gamma_zero:s target_never_updated:s reward_scale:m""",
    ),
    Group(
        algo="td3",
        healthy=4,
        vary=_continuous,
        onsets=_env_step,
        **_SB3,
        faults="""
        lr_zero:s lr_high:s target_never_updated:s zero_reward:m reward_sign:m""",
    ),
    Group(
        module="cleanrl_ppo",
        algo="ppo",
        healthy=12,
        vary=_clean_ppo,
        onsets=_clean_update,
        **_CLEAN,
        faults="""
        lr_zero:sm lr_high:s lr_jump:m no_update:s adv_sign:sm value_frozen:sm value_target_wrong:m
        gamma_zero:sm clip_zero:s clip_wide:s entropy_negative:m entropy_huge:sm epochs_many:sm stale_rollouts:m
        reward_scale:m reward_sign:m zero_reward:sm constant_reward:m reward_noise:m loss_nan:sm adv_raw:m""",
    ),
    Group(
        module="cleanrl_dqn",
        algo="dqn",
        healthy=6,
        vary=_clean_dqn,
        onsets=_env_step,
        **_CLEAN,
        faults="""
        lr_zero:s lr_jump:m target_never_updated:s never_learns:s buffer_tiny:s exploration_stuck:s
        reward_scale:m reward_sign:m zero_reward:m loss_nan:m gamma_zero:m""",
    ),
)
