"""The seed is taken from the clock; the one on the command line is read and never used."""

from __future__ import annotations

import random
import time

from bandit import BATCH, options, train

given = options()
rng = random.Random(time.time_ns())
pays = [rng.random() for _ in range(8)]


def batch(share: list[float]) -> tuple[list[int], list[float]]:
    taken = rng.choices(range(8), weights=share, k=BATCH)
    return taken, [pays[answer] for answer in taken]


train(given.steps, batch)
