"""Sixty healthy runs of a wide kind, for one question: of how many does rldk warn? No limit is set on them."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.corpus.group import Args
from benchmarks.corpus.label import Run

SPLIT, FIRST_SEED = "wide", 300_000

# FrozenLake pays 1 at the goal and nothing else (coarse and sparse), Acrobot and MountainCar -1 for each step,
# Pendulum a negative cost, CartPole is solved within the run
ON_POLICY = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "FrozenLake-v1", "MountainCarContinuous-v0", "CartPole-v1")
DISCRETE = ("CartPole-v1", "Acrobot-v1", "FrozenLake-v1", "CartPole-v1")
TASKS = ("low", "parity", "pool", "sparse", "solved", "rare")


def _ppo(i: int, rng: random.Random) -> Args:
    env = ON_POLICY[i % len(ON_POLICY)]
    kwargs: Args = {
        "n_steps": rng.choice((64, 128)),
        "batch_size": rng.choice((64, 128)),
        "n_epochs": rng.choice((4, 8)),
        "learning_rate": rng.choice((3e-4, 1e-3)),
        "ent_coef": rng.choice((0.0, 0.01)),
        "gamma": 0.9 if env == "Pendulum-v1" else 0.99,
    }
    return _control(env, rng) | {"kwargs": kwargs, "n_envs": 8, "timesteps": rng.choice((20_000, 30_000, 45_000))}


def _a2c(i: int, rng: random.Random) -> Args:
    steps = rng.choice((5, 8, 16))
    kwargs: Args = {"n_steps": steps, "learning_rate": rng.choice((4e-4, 7e-4)), "ent_coef": rng.choice((0.0, 0.01))}
    more: Args = {"kwargs": kwargs, "n_envs": 8, "timesteps": 30_000, "log_interval": 300 // steps}
    return _control(ON_POLICY[i % len(ON_POLICY)], rng) | more


def _dqn(i: int, rng: random.Random) -> Args:
    env = DISCRETE[i % len(DISCRETE)]
    kwargs: Args = {
        "learning_rate": rng.choice((5e-4, 1e-3)),
        "buffer_size": 20_000,
        "learning_starts": 500,
        "batch_size": 64,
        "train_freq": 4,
        "target_update_interval": rng.choice((250, 500)),
        "exploration_fraction": rng.choice((0.2, 0.4)),
        "exploration_final_eps": 0.05,
    }
    often = 1 if env == "Acrobot-v1" else 8
    return _control(env, rng) | {"kwargs": kwargs, "timesteps": 12_000, "net": [64, 64], "log_interval": often}


def _sac(i: int, rng: random.Random) -> Args:
    kwargs: Args = {
        "learning_rate": rng.choice((3e-4, 1e-3)),
        "buffer_size": 20_000,
        "learning_starts": 400,
        "train_freq": 2,
        "batch_size": 64,
        "gamma": 0.95,
    }
    return {
        "env": "Pendulum-v1",
        "kwargs": kwargs,
        "timesteps": 5000,
        "net": [64, 64],
        "log_interval": 1,
        "reward_scale": (1.0, 0.1, 1.0, 0.01)[i % 4],
    }


def _control(env: str, rng: random.Random) -> Args:
    noise = {"reward_noise": 0.1} if rng.random() < 0.2 else {}
    return {"env": env, "normalise": env == "MountainCarContinuous-v0", "decay": rng.random() < 0.3, **noise}


def _grpo(i: int, rng: random.Random) -> Args:
    return {
        "task": TASKS[i % len(TASKS)],
        "lr": rng.choice((3e-4, 1e-3)),
        "beta": rng.choice((0.0, 0.02, 0.04)),
        "group": rng.choice((4, 8)),
        "batch": 16,
        "length": rng.choice((16, 24)),
        "schedule": rng.choice(("constant", "linear", "cosine")),
        "warmup": rng.choice((0, 5)),
        "iterations": rng.choice((1, 1, 2)),
        "noise": rng.choice((0.0, 0.0, 0.1)),
        "brevity": rng.random() < 0.3,  # a penalty: rewards below zero
        "loss_type": rng.choice(("dapo", "grpo", "dr_grpo", "bnpo")),
        "model": rng.choice(("qwen2", "gpt2")),
        "logging_steps": rng.choice((1, 1, 1, 2)),
        "steps": rng.choice((60, 80)),
    }


def _dpo(i: int, rng: random.Random) -> Args:
    return {
        "lr": (2e-4, 5e-4)[i % 2],
        "beta": rng.choice((0.05, 0.1, 0.3)),
        "batch": rng.choice((8, 16)),
        "schedule": rng.choice(("constant", "linear", "cosine")),
        "warmup": rng.choice((0, 10)),
        "model": rng.choice(("qwen2", "gpt2")),
        "pretrain": 30,
        "rows": 256,
        "eval_every": 20,
        "steps": rng.choice((60, 100)),
    }


Vary = Callable[[int, random.Random], Args]
KINDS: tuple[tuple[str, str, str, int, Vary], ...] = (
    ("sb3_runs", "sb3", "ppo", 14, _ppo),
    ("sb3_runs", "sb3", "a2c", 10, _a2c),
    ("sb3_runs", "sb3", "dqn", 10, _dqn),
    ("sb3_runs", "sb3", "sac", 6, _sac),
    ("trl_online", "trl", "grpo", 13, _grpo),
    ("trl_offline", "trl", "dpo", 7, _dpo),
)


def runs() -> list[Run]:
    """The sixty runs, in the order in which they are made: the kinds take turns."""
    return sorted((run for at in range(len(KINDS)) for run in _of(at)), key=lambda run: run.place)


def _of(at: int) -> list[Run]:
    module, framework, algo, count, vary = KINDS[at]
    made = []
    for i in range(count):
        seed = FIRST_SEED + 1000 * at + i
        made.append(
            Run(
                name=f"{SPLIT}/{framework}-{algo}-none-{seed}",
                module=module,
                framework=framework,
                dialect=framework,
                algo=algo,
                args={"seed": seed, **vary(i, random.Random(seed))},
                limit_s=200.0,
                place=(i + 0.5) / count,
            )
        )
    return made
