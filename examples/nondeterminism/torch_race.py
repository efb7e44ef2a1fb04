"""Rewards are added up by a kernel whose threads race: the sums differ in their last digits, the printed loss does not.

With OMP_NUM_THREADS=1 there is no race."""

from __future__ import annotations

import torch
from torch_policy import BATCH, FEATURES, options, train

TOKENS, ANSWERS = 2_000_000, 64
given = options()
torch.set_num_threads(max(2, torch.get_num_threads()))
torch.manual_seed(given.seed)
rewards = torch.rand(TOKENS) * 2e-4
answer = torch.randint(ANSWERS, (TOKENS,))


def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(BATCH, FEATURES)
    sums = torch.zeros(ANSWERS)
    sums.index_put_((answer,), rewards, accumulate=True)
    return x, 0.1 * x.sum(dim=1) + 0.01 * sums[:BATCH]


train(given.steps, batch)
