"""A small real training that the other scripts of this folder share: a softmax policy learns which answer pays."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

LR, BATCH = 0.5, 16


class Policy:
    """Preferences over answers, trained by REINFORCE with a baseline."""

    def __init__(self, answers: int) -> None:
        self.logits = [0.0] * answers
        self.baseline = 0.0

    def probabilities(self) -> list[float]:
        top = max(self.logits)
        weights = [math.exp(logit - top) for logit in self.logits]
        total = math.fsum(weights)
        return [weight / total for weight in weights]

    def update(self, taken: Sequence[int], rewards: Sequence[float]) -> dict[str, float]:
        """One step of the policy on a batch; returns what is logged."""
        share = self.probabilities()
        mean = math.fsum(rewards) / len(rewards)
        for action, reward in zip(taken, rewards, strict=True):
            for answer, p in enumerate(share):
                slope = (1.0 if answer == action else 0.0) - p
                self.logits[answer] += LR * (reward - self.baseline) * slope / len(taken)
        self.baseline += 0.1 * (mean - self.baseline)
        loss = -math.fsum(math.log(share[a]) * (r - mean) for a, r in zip(taken, rewards, strict=True)) / len(taken)
        entropy = -math.fsum(p * math.log(p) for p in share)
        return {"loss": loss, "reward_mean": mean, "entropy": entropy}


def options() -> argparse.Namespace:
    """The seed and the number of steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    return parser.parse_args()


def train(steps: int, batch: Callable[[list[float]], tuple[list[int], list[float]]], answers: int = 8) -> None:
    """Trains on what `batch` draws from the probabilities, and prints the metrics of every step in full."""
    policy = Policy(answers)
    for step in range(steps):
        taken, rewards = batch(policy.probabilities())
        row = policy.update(taken, rewards)
        print(f"step {step} " + " ".join(f"{name} {value!r}" for name, value in row.items()))
