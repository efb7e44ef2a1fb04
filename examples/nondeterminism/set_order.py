"""Tasks are walked in the order of a set of texts, which Python changes at each start."""

from __future__ import annotations

import random

from bandit import BATCH, options, train

given = options()
rng = random.Random(given.seed)
tasks = {"add", "carry", "divide", "halve", "multiply", "negate", "square", "subtract"}
pays = [rng.random() * sum(map(ord, task)) / 800 for task in tasks]


def batch(share: list[float]) -> tuple[list[int], list[float]]:
    taken = rng.choices(range(8), weights=share, k=BATCH)
    return taken, [pays[answer] for answer in taken]


train(given.steps, batch)
