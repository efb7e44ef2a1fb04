"""Verifiable rewards for the toy texts, and what can go wrong with a reward."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any


def score(task: str, prompt: str, text: str) -> float:
    """The reward of one answer."""
    words = [int(w[1:]) for w in text.split() if w[0] == "w"]
    asked = [int(w[1:]) for w in prompt.split() if w[0] == "w"]
    if not words:
        return 0.0
    match task:
        case "parity":
            return sum(w % 2 == 0 for w in words) / len(words)
        case "low":
            return sum(w < 20 for w in words) / len(words) - 0.02 * abs(len(words) - 8)
        case "sparse":  # right or wrong, rarely right at first
            return float(any(w in asked for w in words))
        case "hard":  # the first word, a function of the prompt that is not learnt in so few steps
            return float(words[0] % 7 == sum(asked) % 7)
        case "rare":  # right or wrong by the first word: for one answer in seven at first
            return float(words[0] < 8)
        case "solved":
            return float(len(words) >= 1)
        case "pool":
            return len({w for w in words if w < 12}) / 12
    raise ValueError(task)


class Reward:
    """A reward function as TRL wants it, whose fault begins with the training step `onset`."""

    def __init__(self, task: str, fault: str, onset: int, *, noise: float, seed: int) -> None:
        self.task, self.fault, self.onset, self.noise = task, fault, onset, noise
        self.rng = random.Random(seed)
        self.__name__ = task

    def __call__(self, prompts: list[str], completions: list[str], trainer_state: Any = None, **_: Any) -> list[float]:
        """One reward for each answer."""
        step = trainer_state.global_step + 1 if trainer_state is not None else 1
        rewards = [
            score(self.task, p, c) + self.rng.gauss(0, self.noise) for p, c in zip(prompts, completions, strict=True)
        ]
        if self.fault in BROKEN and step >= self.onset:
            lengths = [len(c.split()) for c in completions]
            rewards = [BROKEN[self.fault](r, n, self.rng) for r, n in zip(rewards, lengths, strict=True)]
        if self.fault == "throughput_rot" and step >= self.onset:
            time.sleep(min(1.5, 0.03 * (step - self.onset + 1)))
        return rewards


BROKEN: dict[str, Callable[[float, int, random.Random], float]] = {
    "constant_reward": lambda _r, _n, _g: 0.5,
    "zero_reward": lambda _r, _n, _g: 0.0,
    "reward_nan": lambda r, _n, g: float("nan") if g.random() < 0.3 else r,
    "reward_scale": lambda r, _n, _g: 100 * r,
    "reward_noise": lambda r, _n, g: r + g.gauss(0, 2.0),
    "reward_saturate": lambda r, _n, _g: min(1.0, 1.0 + 0.0 * r),
    "reward_sign": lambda r, _n, _g: -r,
    "length_hack": lambda r, n, _g: 0.2 * r + 0.1 * n,
}


class Brevity:
    """A second reward function: short answers."""

    __name__ = "brevity"

    def __call__(self, completions: list[str], **_: Any) -> list[float]:
        """1 for a short answer, falling with its words."""
        return [max(0.0, 1 - len(c.split()) / 24) for c in completions]
