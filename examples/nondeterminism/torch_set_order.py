"""The rewards of tasks are read in the order of a set of texts, which Python changes at each start."""

from __future__ import annotations

import torch
from torch_policy import BATCH, FEATURES, options, train

given = options()
torch.manual_seed(given.seed)
tasks = {"add", "carry", "divide", "halve", "multiply", "negate", "square", "subtract"}
pays = torch.tensor([float(sum(map(ord, task))) / 1000 for task in tasks])


def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(BATCH, FEATURES)
    return x, pays[torch.arange(BATCH) % len(pays)] * x.sum(dim=1)


train(given.steps, batch)
