"""Prompts are shuffled by a generator of NumPy that no seed reaches, although the program is seeded."""

from __future__ import annotations

import numpy as np
import torch
from torch_policy import BATCH, FEATURES, PROMPTS, options, train

given = options()
torch.manual_seed(given.seed)
rng = np.random.default_rng(given.seed)
shuffler = np.random.default_rng()
prompts = rng.normal(size=(PROMPTS, FEATURES)).astype(np.float32)
scores = prompts.sum(axis=1)


def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = shuffler.permutation(PROMPTS)[:BATCH]
    return torch.from_numpy(prompts[rows]), torch.from_numpy(scores[rows])


train(given.steps, batch)
