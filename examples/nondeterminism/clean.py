"""The same training without a fault: each run with the same seed prints the same numbers."""

from __future__ import annotations

import random

from bandit import BATCH, options, train

given = options()
rng = random.Random(given.seed)
pays = [rng.random() for _ in range(8)]


def batch(share: list[float]) -> tuple[list[int], list[float]]:
    taken = rng.choices(range(8), weights=share, k=BATCH)
    return taken, [pays[answer] + 0.1 * rng.gauss(0.0, 1.0) for answer in taken]


train(given.steps, batch)
