"""GRPO of a table of logits, in numpy: no framework is needed, and a run takes a second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus.lm_faults import Faults
from benchmarks.corpus.lm_logs import Log

PROMPTS, LENGTH, WORDS = 8, 6, 12


def train(folder: Path, run: dict[str, Any]) -> None:
    """Trains in `folder`."""
    loop = Table(run)
    log = Log(folder, run["dialect"], run["args"]["sink"], all_keys=False)
    for step in range(1, run["args"]["steps"] + 1):
        loop.faults.step = step
        log.add({"step": float(step), **loop.step(step)})
        if loop.faults.on("lr_zero", "no_update"):
            assert loop.still, "the weights moved"
    log.close()


class Table:
    """The policy `(prompts, positions, words)`, its reference, Adam's memory, and the fault."""

    def __init__(self, run: dict[str, Any]) -> None:
        self.a, self.faults = run["args"], Faults(run["fault"], run["onset"] or 0)
        self.rng = np.random.default_rng(self.a["seed"])
        self.logits = self.rng.normal(0, 0.3, (PROMPTS, LENGTH, WORDS))
        self.reference = self.logits.copy()
        self.first, self.second, self.count = np.zeros_like(self.logits), np.zeros_like(self.logits), 0
        self.goal = self.rng.integers(0, WORDS, (PROMPTS, LENGTH))
        self.still = True

    def rate(self, step: int) -> float:
        """The learning rate of the step."""
        done = step / self.a["steps"]
        shape = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + np.cos(np.pi * done))}[self.a["schedule"]]
        return self.faults.rate(float(self.a["lr"] * shape * min(1.0, step / max(1, self.a["warmup"]))))

    def rewards(self, prompts: Any, words: Any) -> Any:
        """`(rows,)` shares of right words, and noise; spoilt by the fault."""
        f, rng = self.faults, self.rng
        found = (words == self.goal[prompts]).mean(1) + rng.normal(0, 1, len(words)) * self.a["noise"]
        if f.on("constant_reward", "zero_reward"):
            return np.full(len(words), 0.0 if f.name == "zero_reward" else 0.4)
        scale = 100.0 if f.on("reward_scale") else -1.0 if f.on("reward_sign") else 1.0
        return scale * found + (rng.normal(0, 2, len(words)) if f.on("reward_noise") else 0.0)

    def step(self, step: int) -> dict[str, float]:
        """One batch, and its row of the log."""
        a, f, start = self.a, self.faults, time.perf_counter()
        prompts = np.repeat(self.rng.integers(0, PROMPTS, a["batch"] // a["group"]), a["group"])
        old = _softmax(self.logits)
        hot = _softmax(self.logits / f.temperature())[prompts]
        words = (hot.cumsum(-1) > self.rng.random((*hot.shape[:2], 1))).argmax(-1)
        rewards = self.rewards(prompts, words)
        grouped = rewards.reshape(-1, a["group"])
        centre = 0.0 if f.on("adv_not_centred", "adv_raw") else grouped.mean(1, keepdims=True)
        spread = 1.0 if f.on("adv_raw") else grouped.std(1, keepdims=True) + 1e-4
        advantages = ((grouped - centre) / spread).reshape(-1) * (-1 if f.on("adv_sign") else 1)
        kl = float((old * (np.log(old) - np.log(_softmax(self.reference)))).sum(-1).mean())
        before = self.logits.copy()
        rate = self.rate(step)
        seen = [self.update((prompts, words, old), advantages, rate) for _ in range(a["epochs"])]
        self.still = bool((before == self.logits).all())
        means = {key: float(np.mean([row[key] for row in seen])) for key in seen[0]}
        entropy = float(-(old[prompts] * np.log(old[prompts])).sum(-1).mean())
        return means | {
            "reward_mean": float(rewards.mean()),
            "reward_std": float(rewards.std()),
            "kl": kl,
            "entropy": entropy,
            "kl_coef": a["kl_coef"],
            "advantage_mean": float(advantages.mean()),
            "advantage_std": float(advantages.std()),
            "zero_std_group_frac": float((grouped.std(1) < 1e-9).mean()),
            "learning_rate": rate,
            "ratio_first_minibatch_dev": 0.0,
            "tokens_step": float(words.size),
            "time_step_s": time.perf_counter() - start,
        }

    def update(self, batch: tuple[Any, Any, Any], advantages: Any, rate: float) -> dict[str, float]:
        """One step of Adam on the clipped objective with a KL term."""
        a, f = self.a, self.faults
        prompts, words, old = batch
        now = _softmax(self.logits)
        at = (prompts[:, None], np.arange(LENGTH), words)
        ratio = now[at] / old[at]
        advantage = advantages[:, None] * np.ones((1, LENGTH))
        outside = ((ratio > 1.2) & (advantage > 0)) | ((ratio < 0.8) & (advantage < 0))
        weight = np.where(outside, 0.0, advantage * ratio) / words.size
        grad = np.zeros_like(self.logits)
        np.add.at(grad, at, -weight)
        np.add.at(grad, (prompts[:, None], np.arange(LENGTH)), weight[..., None] * now[prompts])
        drift = np.log(now) - np.log(_softmax(self.reference))
        sign = -1.0 if f.on("kl_sign") else 1.0
        used = np.bincount(prompts, minlength=PROMPTS)[:, None, None] / len(prompts) / LENGTH
        grad += sign * a["kl_coef"] * used * now * (drift - (now * drift).sum(-1, keepdims=True))
        bonus = -0.5 if f.on("entropy_negative") else a["entropy_coef"]
        entropy = -(now * np.log(now)).sum(-1, keepdims=True)
        grad += bonus * used * now * (np.log(now) + entropy)
        grad *= 2000.0 if f.on("grad_explode") else 1e-8 if f.on("grad_vanish") else np.nan if f.on("loss_nan") else 1.0
        norm = float(np.sqrt((grad**2).sum()))
        if np.isfinite(norm) and not f.on("no_update"):
            self.adam(grad * min(1.0, 1.0 / (norm + 1e-12)), rate)
        surrogate = np.minimum(ratio * advantage, ratio.clip(0.8, 1.2) * advantage)
        return {
            "policy_loss": float(-surrogate.mean()),
            "grad_norm": norm,
            "clip_frac": float(outside.mean()),
            "approx_kl": float(-np.log(ratio).mean()),
            "ratio_mean": float(ratio.mean()),
        }

    def adam(self, grad: Any, rate: float) -> None:
        """Moves the table."""
        self.count += 1
        self.first = 0.9 * self.first + 0.1 * grad
        self.second = 0.999 * self.second + 0.001 * grad**2
        tall = np.sqrt(self.second / (1 - 0.999**self.count)) + 1e-8
        self.logits = self.logits - rate * self.first / (1 - 0.9**self.count) / tall


def _softmax(logits: Any) -> Any:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
