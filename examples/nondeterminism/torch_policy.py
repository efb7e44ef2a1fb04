"""A small real training that the torch scripts of this folder share: a network learns to score prompts."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import nn

PROMPTS, FEATURES, BATCH = 256, 16, 32
Batch = Callable[[int], tuple[torch.Tensor, torch.Tensor]]


class Policy(nn.Module):
    """Two layers with dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(FEATURES, 64)
        self.drop = nn.Dropout(0.1)
        self.score = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.score(self.drop(torch.relu(self.hidden(x)))).squeeze(-1)


def options() -> argparse.Namespace:
    """The seed and the number of steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    return parser.parse_args()


def train(steps: int, batch: Batch, before_step: Callable[[int], object] = lambda _: None) -> Policy:
    """Trains on what `batch` returns for each step, and prints the loss rounded, as most scripts do."""
    policy = Policy()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2)
    for step in range(steps):
        before_step(step)
        x, y = batch(step)
        loss = nn.functional.mse_loss(policy(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.6f}")
    return policy
