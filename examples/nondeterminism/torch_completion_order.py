"""Rewards are scored in threads and stacked in the order in which they finish."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import torch
from torch_policy import BATCH, FEATURES, options, train

given = options()
torch.manual_seed(given.seed)


def score(prompt: torch.Tensor) -> torch.Tensor:
    time.sleep(random.random() * 0.005)  # a judge that takes its time
    return prompt.sum()


def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(BATCH, FEATURES)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(score, prompt) for prompt in x]
        rewards = [done.result() for done in as_completed(asked)]
    return x, torch.stack(rewards)


train(given.steps, batch)
