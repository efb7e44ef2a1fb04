"""Seeds torch again before step 5, from the entropy of the system: the next dropout drops other units."""

from __future__ import annotations

import torch
from torch_policy import BATCH, FEATURES, options, train

given = options()
torch.manual_seed(given.seed)
prompts = torch.randn(given.steps, BATCH, FEATURES)


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return prompts[step], prompts[step].sum(dim=1)


def before_step(step: int) -> None:
    if step == 5:
        torch.seed()


train(given.steps, batch, before_step)
