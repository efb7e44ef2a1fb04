"""DQN on a control task in one loop, that logs what CleanRL's dqn.py logs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from benchmarks.corpus.control_events import Events


def _net(inputs: int, outputs: int) -> Any:
    return nn.Sequential(nn.Linear(inputs, 96), nn.ReLU(), nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, outputs))


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder`."""
    loop = Loop(folder, run)
    before = [p.detach().clone() for p in loop.q.parameters()]
    loop.run()
    still = all(p.equal(q) for p, q in zip(loop.q.parameters(), before, strict=True))
    assert still == (loop.onset == 1 and loop.fault in {"lr_zero", "never_learns"}), "weights"
    if loop.onset:
        run["extra"].update(onset=loop.onset, clock="global_step")


class Loop:
    """The training; `fault` begins with the environment step `onset`."""

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.a, self.fault, self.onset, self.now = run["args"], run["fault"], run["onset"] or 0, 0
        a = self.a
        torch.manual_seed(a["seed"])
        self.rng = np.random.default_rng(a["seed"])
        self.env = gymnasium.make(a["env"])
        sizes = self.env.observation_space.shape[0], int(self.env.action_space.n)
        self.q, self.target = _net(*sizes), _net(*sizes)
        self.target.load_state_dict(self.q.state_dict())
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=a["lr"])
        room = a.get("buffer", 10_000)
        self.room = 40 if run["fault"] == "buffer_tiny" else room
        self.store = [np.zeros((room, size), np.float32) for size in (sizes[0], sizes[0], 1, 1, 1)]
        self.log = Events(folder, a["sink"], f"{a['env']}__dqn__{a['seed']}__0")
        self.log.note(a)

    def bad(self, fault: str) -> bool:
        """True when `fault` is the one, and its time has come."""
        return self.fault == fault and self.now >= self.onset

    def run(self) -> None:
        """All steps."""
        a, start = self.a, time.time()
        obs, total, length = self.env.reset(seed=a["seed"])[0], 0.0, 0
        for self.now in range(1, a["timesteps"] + 1):
            action = self.act(obs)
            after, reward, ended, cut, _ = self.env.step(action)
            reward = self.spoil(float(reward) * a.get("reward_scale", 1.0))
            total, length = total + reward, length + 1
            at = self.now % self.room
            for box, value in zip(self.store, (obs, after, action, reward, float(ended)), strict=True):
                box[at] = value
            obs = after
            if ended or cut:
                print(f"global_step={self.now}, episodic_return=[{total}]", flush=True)
                self.log.add("charts/episodic_return", total, self.now)
                self.log.add("charts/episodic_length", length, self.now)
                obs, total, length = self.env.reset()[0], 0.0, 0
            if self.now > a.get("starts", 500) and self.now % 4 == 0 and not self.bad("never_learns"):
                self.learn(start)
        self.log.close()

    def act(self, obs: Any) -> int:
        """An action, at times a random one."""
        epsilon = max(0.05, 1 - 0.95 * self.now / (self.a.get("explore", 0.4) * self.a["timesteps"]))
        if self.rng.random() < (1.0 if self.bad("exploration_stuck") else epsilon):
            return int(self.rng.integers(self.env.action_space.n))
        with torch.no_grad():
            return int(self.q(torch.as_tensor(obs, dtype=torch.float32)).argmax())

    def spoil(self, reward: float) -> float:
        """The reward with its fault."""
        if self.bad("zero_reward"):
            return 0.0
        if self.bad("reward_sign"):
            return -reward
        if self.bad("reward_noise"):
            return reward + float(self.rng.normal(0, 10))
        return 100 * reward if self.bad("reward_scale") else reward

    def learn(self, start: float) -> None:
        """One step of the optimiser, and its log rows."""
        a = self.a
        pick = self.rng.integers(min(self.now, self.room), size=a.get("batch", 64))
        obs, after, action, reward, ended = (torch.as_tensor(box[pick]) for box in self.store)
        gamma = 0.0 if self.bad("gamma_zero") else a.get("gamma", 0.99)
        with torch.no_grad():
            goal = reward.squeeze(1) + gamma * self.target(after).max(1).values * (1 - ended.squeeze(1))
        value = self.q(obs).gather(1, action.long()).squeeze(1)
        loss = nn.functional.mse_loss(goal, value) * (float("nan") if self.bad("loss_nan") else 1.0)
        factor = 0.0 if self.bad("lr_zero") else 40.0 if self.bad("lr_jump") else 1.0
        self.optimizer.param_groups[0]["lr"] = a["lr"] * factor
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.now % 100 == 0:
            self.log.add("losses/td_loss", float(loss), self.now)
            self.log.add("losses/q_values", float(value.mean()), self.now)
            self.log.add("charts/SPS", int(self.now / (time.time() - start)), self.now)
        if self.now % a.get("sync", 500) == 0 and not self.bad("target_never_updated"):
            self.target.load_state_dict(self.q.state_dict())
