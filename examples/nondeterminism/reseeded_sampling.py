"""Seeds the generator again at step 5, from the entropy of the system, before it samples."""

from __future__ import annotations

import random

from bandit import BATCH, options, train

given = options()
random.seed(given.seed)
pays = [random.random() for _ in range(8)]
steps = iter(range(given.steps))


def batch(share: list[float]) -> tuple[list[int], list[float]]:
    if next(steps) == 5:
        random.seed()
    taken = random.choices(range(8), weights=share, k=BATCH)
    return taken, [pays[answer] for answer in taken]


train(given.steps, batch)
