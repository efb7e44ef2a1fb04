"""PPO, A2C, DQN, SAC and TD3 of Stable-Baselines3 on control tasks, with its own csv, json and text logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3 as sb3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize

from benchmarks.corpus.sb3_envs import Spoiled


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder`; progress.csv, progress.json, log.txt and stdout are what SB3 writes."""
    a, fault = run["args"], run["fault"]
    clock = Clock(fault, run["onset"] or 0)
    env = make_vec_env(lambda: Spoiled(gymnasium.make(a["env"]), clock, a), n_envs=a.get("n_envs", 1), seed=a["seed"])
    if a.get("normalise"):
        env = VecNormalize(env, gamma=a["kwargs"].get("gamma", 0.99))
    policy_kwargs = {"net_arch": a["net"]} if "net" in a else None
    kwargs = dict(a["kwargs"])
    if a.get("decay"):
        peak = kwargs["learning_rate"]
        kwargs["learning_rate"] = lambda left: peak * left
    model = getattr(sb3, run["algo"].upper())("MlpPolicy", env, seed=a["seed"], policy_kwargs=policy_kwargs, **kwargs)
    model.set_logger(configure(str(folder), ["stdout", "csv", "json", *(["tensorboard"] if a.get("tb") else [])]))
    plant = Plant(clock)
    before = [p.detach().clone() for p in _learnt(model).values()]
    model.learn(a["timesteps"], log_interval=a.get("log_interval", 1), callback=plant)
    _check(model, run, before)
    if clock.began is not None:  # the log's clock is the environment's
        run["extra"].update(onset=max(clock.began, 1), clock="time/total_timesteps")
    rows = [json.loads(line) for line in (folder / "progress.json").read_text().splitlines()]
    assert len(rows) >= 8, f"{len(rows)} rows"


class Clock:
    """How many updates (PPO, A2C) or environment steps (the others) there were; the fault begins with the onset-th."""

    def __init__(self, fault: str, onset: int) -> None:
        self.fault, self.onset, self.now = fault, onset, 0
        self.began: int | None = None

    def broken(self, fault: str) -> bool:
        """True when `fault` is the one, and its time has come."""
        return self.fault == fault and self.now + 1 >= self.onset


class Plant(BaseCallback):
    """Breaks one thing from the update `onset` on."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.done = clock, False

    def _on_rollout_start(self) -> None:
        self._tick()

    def _on_step(self) -> bool:
        if not hasattr(self.model, "rollout_buffer"):
            self.clock.now = self.num_timesteps
            self._tick()
        return True

    def _tick(self) -> None:
        clock = self.clock
        if clock.fault != "none" and clock.broken(clock.fault) and not self.done:
            self.done, clock.began = True, self.num_timesteps
            _break(self.model, clock)
        if clock.fault == "norm_lost" and self.done:
            self.training_env.obs_rms.mean[:] = 3.0
            self.training_env.obs_rms.var[:] = 0.01

    def _on_rollout_end(self) -> None:
        if hasattr(self.model, "rollout_buffer"):
            buffer = self.model.rollout_buffer
            if self.clock.broken("adv_sign"):
                buffer.advantages *= -1
            if self.clock.broken("value_target_wrong"):
                buffer.returns[:] = np.random.default_rng(self.clock.now).normal(0, 30, buffer.returns.shape)
            self.clock.now += 1


def _break(model: Any, clock: Clock) -> None:
    optimizers = [
        o
        for o in (
            getattr(model.policy, "optimizer", None),
            *(getattr(getattr(model, part, None), "optimizer", None) for part in ("actor", "critic")),
        )
        if o is not None
    ]
    match clock.fault:
        case "lr_zero" | "lr_jump":
            factor, plan = (0.0 if clock.fault == "lr_zero" else 40.0), model.lr_schedule
            model.lr_schedule = lambda left: factor * plan(left)
        case "no_update":
            for optimizer in optimizers:
                optimizer.step = lambda *_a, **_k: None
        case "grad_explode" | "grad_vanish":
            model.max_grad_norm = 1e9 if clock.fault == "grad_explode" else 1e-12
        case "clip_zero" | "clip_wide":
            size = 1e-9 if clock.fault == "clip_zero" else 50.0
            model.clip_range = lambda _left: size
        case "entropy_huge" | "entropy_negative":
            model.ent_coef = 2.0 if clock.fault == "entropy_huge" else -0.3
        case "gamma_zero":
            model.gamma = 0.0
            if hasattr(model, "rollout_buffer"):
                model.rollout_buffer.gamma = 0.0
        case "value_frozen":
            model.vf_coef = 0.0
            _freeze_value(model)
        case "target_never_updated":
            model.target_update_interval, model.tau = 10**9, 0.0
        case "exploration_stuck":
            model.exploration_schedule = lambda _left: 1.0
        case "epochs_many":
            model.n_epochs = 100


def _freeze_value(model: Any) -> None:
    for name, weight in model.policy.named_parameters():
        if "value" in name:
            weight.requires_grad_(False)


def _check(model: Any, run: dict[str, Any], before: list[Any]) -> None:
    same = [p.equal(q) for p, q in zip(_learnt(model).values(), before, strict=True)]
    frozen = run["onset"] == 1 and run["fault"] in {"lr_zero", "no_update", "never_learns"}
    assert all(same) == frozen, "the weights moved" if frozen else "the weights never moved"
    if run["fault"] == "value_frozen" and run["onset"] == 1:
        assert all(s for s, name in zip(same, _learnt(model), strict=True) if "value" in name)


def _learnt(model: Any) -> dict[str, Any]:
    return {name: weight for name, weight in model.policy.named_parameters() if "target" not in name}
