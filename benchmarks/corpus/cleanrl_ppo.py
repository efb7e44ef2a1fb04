"""PPO on a control task in one loop, that logs what CleanRL's ppo.py logs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from benchmarks.corpus.control_events import Events


class Agent(nn.Module):
    """An actor and a critic that share nothing."""

    def __init__(self, inputs: int, actions: int, width: int) -> None:
        super().__init__()
        self.critic, self.actor = _net(inputs, width, 1, 1.0), _net(inputs, width, actions, 0.01)

    def act(self, obs: Any, action: Any = None) -> tuple[Any, Any, Any, Any]:
        """Action, its log-probability, entropy, value."""
        chosen = torch.distributions.Categorical(logits=self.actor(obs))
        action = chosen.sample() if action is None else action
        return action, chosen.log_prob(action), chosen.entropy(), self.critic(obs).squeeze(-1)


def _net(inputs: int, width: int, outputs: int, gain: float) -> Any:
    layers = [nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)]
    for layer, g in zip(layers[::2], (2**0.5, 2**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, g)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class Loop:
    """The training; `fault` begins with the update `onset`."""

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.a, self.fault, self.onset = run["args"], run["fault"], run["onset"] or 0
        a = self.a
        torch.manual_seed(a["seed"])
        self.rng = np.random.default_rng(a["seed"])
        self.envs = [gymnasium.make(a["env"]) for _ in range(a["n_envs"])]
        space = self.envs[0]
        self.agent = Agent(space.observation_space.shape[0], int(space.action_space.n), a.get("width", 64))
        self.optimizer = torch.optim.Adam(self.agent.parameters(), lr=a["lr"], eps=1e-5)
        self.obs = np.stack([env.reset(seed=a["seed"] + i)[0] for i, env in enumerate(self.envs)])
        self.totals, self.lengths = np.zeros(a["n_envs"]), np.zeros(a["n_envs"])
        self.done = np.zeros(a["n_envs"])
        self.log = Events(folder, a["sink"], f"{a['env']}__ppo__{a['seed']}__0")
        self.log.note(a)
        self.steps, self.update, self.start = 0, 0, time.time()
        self.old = [p.detach().clone() for p in self.agent.parameters()]

    def bad(self, fault: str) -> bool:
        """True when `fault` is the one, and its time has come."""
        return self.fault == fault and self.update >= self.onset

    def run(self) -> None:
        """All updates."""
        for update in range(1, self.a["updates"] + 1):
            self.update = update
            left = 1 - (self.update - 1) / self.a["updates"] if self.a.get("anneal") else 1.0
            factor = 0.0 if self.bad("lr_zero") else 40.0 if self.bad("lr_jump") else 1.0
            self.optimizer.param_groups[0]["lr"] = self.a["lr"] * left * factor
            if self.bad("value_frozen"):
                for weight in self.agent.critic.parameters():
                    weight.requires_grad_(False)
            self.learn(*self.collect())
        self.log.close()

    def collect(self) -> tuple[Any, ...]:
        """One rollout: observations, actions, log-probabilities, rewards, dones, values."""
        a, kept = self.a, []
        for _ in range(a["horizon"]):
            self.steps += a["n_envs"]
            obs = torch.as_tensor(self.obs, dtype=torch.float32)
            with torch.no_grad():
                action, logp, _, value = self.agent.act(obs)
            before = self.done.copy()
            rewards = np.array([self.step(i, int(action[i])) for i in range(a["n_envs"])])
            kept.append((obs, action, logp, torch.as_tensor(rewards), torch.as_tensor(before), value))
        return tuple(torch.stack([row[i] for row in kept]).float() for i in range(6))

    def step(self, i: int, action: int) -> float:
        """One step of one task; the reward that the agent sees."""
        obs, reward, ended, cut, _ = self.envs[i].step(action)
        reward = float(reward) * self.a.get("reward_scale", 1.0)
        reward = self.spoil(reward)
        self.totals[i] += reward
        self.lengths[i] += 1
        self.done[i] = float(ended or cut)
        if ended or cut:
            print(f"global_step={self.steps}, episodic_return=[{self.totals[i]}]", flush=True)
            self.log.add("charts/episodic_return", self.totals[i], self.steps)
            self.log.add("charts/episodic_length", self.lengths[i], self.steps)
            self.totals[i] = self.lengths[i] = 0
            obs = self.envs[i].reset()[0]
        self.obs[i] = obs
        return reward

    def spoil(self, reward: float) -> float:
        """The reward with its fault."""
        if self.bad("zero_reward") or self.bad("constant_reward"):
            return 0.0 if self.fault == "zero_reward" else 0.3
        if self.bad("reward_sign"):
            return -reward
        if self.bad("reward_scale"):
            return 100 * reward
        noise = 20.0 if self.bad("reward_noise") else self.a.get("reward_noise", 0.0)
        return reward + float(self.rng.normal(0, noise)) if noise else reward

    def advantages(self, rewards: Any, dones: Any, values: Any) -> tuple[Any, Any]:
        """Generalised advantage estimates and returns."""
        gamma = 0.0 if self.bad("gamma_zero") else self.a.get("gamma", 0.99)
        with torch.no_grad():
            following = self.agent.critic(torch.as_tensor(self.obs, dtype=torch.float32)).squeeze(-1)
        out, last = torch.zeros_like(rewards), torch.zeros_like(following)
        over = torch.as_tensor(self.done, dtype=torch.float32)
        for t in reversed(range(len(rewards))):
            delta = rewards[t] + gamma * following * (1 - over) - values[t]
            last = delta + gamma * self.a.get("lam", 0.95) * (1 - over) * last
            out[t], following, over = last, values[t], dones[t]
        returns = out + values
        if self.bad("value_target_wrong"):
            returns = returns[torch.randperm(len(returns))] * 10
        return (-out if self.bad("adv_sign") else out), returns

    def learn(self, obs: Any, actions: Any, logps: Any, rewards: Any, dones: Any, values: Any) -> None:
        """The epochs of one update, and its log rows."""
        advantages, returns = self.advantages(rewards, dones, values)
        flat = [x.flatten(0, 1) for x in (obs, actions, logps, advantages, returns, values)]
        if self.bad("stale_rollouts"):
            self.previous = [*getattr(self, "previous", []), flat][-6:]
            flat = self.previous[0]
        size, fractions = len(flat[0]), []
        for _ in range(60 if self.bad("epochs_many") else self.a["epochs"]):
            for part in torch.as_tensor(self.rng.permutation(size)).split(max(8, size // self.a["minibatches"])):
                found = self.minibatch(*(x[part] for x in flat))
                fractions.append(found["clipfrac"])
        found["clipfrac"] = float(np.mean(fractions))
        true, guess = flat[4].numpy(), flat[5].numpy()
        found["explained_variance"] = float(1 - np.var(true - guess) / np.var(true)) if np.var(true) else float("nan")
        self.log.add("charts/learning_rate", self.optimizer.param_groups[0]["lr"], self.steps)
        for key, value in found.items():
            self.log.add(f"losses/{key}", value, self.steps)
        self.log.add("charts/SPS", int(self.steps / (time.time() - self.start)), self.steps)
        print("SPS:", int(self.steps / (time.time() - self.start)), flush=True)

    def minibatch(
        self, obs: Any, action: Any, old: Any, advantage: Any, target: Any, value_old: Any
    ) -> dict[str, float]:
        """One step of the optimiser, and what CleanRL logs of it."""
        _, logp, entropy, value = self.agent.act(obs, action.long())
        gap = logp - old
        ratio, clip = gap.exp(), self.a.get("clip", 0.2)
        clip = 1e-6 if self.bad("clip_zero") else 50.0 if self.bad("clip_wide") else clip
        if self.a.get("norm_adv", True) and not self.bad("adv_raw"):
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)).mean()
        near = value_old + (value - value_old).clamp(-clip, clip)
        value_loss = 0.5 * torch.max((value - target) ** 2, (near - target) ** 2).mean()
        bonus = (
            -0.5 if self.bad("entropy_negative") else 3.0 if self.bad("entropy_huge") else self.a.get("ent_coef", 0.01)
        )
        loss = policy_loss - bonus * entropy.mean() + self.a.get("vf_coef", 0.5) * value_loss
        self.optimizer.zero_grad()
        (loss * float("nan") if self.bad("loss_nan") else loss).backward()
        if not self.bad("grad_explode"):
            nn.utils.clip_grad_norm_(self.agent.parameters(), self.a.get("max_grad_norm", 0.5))
        if not self.bad("no_update") and not self.bad("loss_nan"):
            self.optimizer.step()
        with torch.no_grad():
            broken = float("nan") if self.bad("loss_nan") else 1.0
            return {
                "value_loss": float(value_loss) * broken,
                "policy_loss": float(policy_loss) * broken,
                "entropy": float(entropy.mean()),
                "old_approx_kl": float((-gap).mean()),
                "approx_kl": float((ratio - 1 - gap).mean()),
                "clipfrac": float(((ratio - 1).abs() > clip).float().mean()),
            }


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder`."""
    loop = Loop(folder, run)
    loop.run()
    still = all(p.equal(q) for p, q in zip(loop.agent.parameters(), loop.old, strict=True))
    assert still == (loop.onset == 1 and loop.fault in {"lr_zero", "no_update", "loss_nan"}), "weights"
    each = loop.a["horizon"] * loop.a["n_envs"]
    if loop.onset:
        run["extra"].update(onset=(loop.onset - 1) * each + 1, clock="global_step")
