"""Prompts are shuffled by a generator that no seed reaches, although the program is seeded."""

from __future__ import annotations

import random
from itertools import cycle, islice

from bandit import BATCH, options, train

given = options()
random.seed(given.seed)
shuffler = random.Random()
prompts = [(answer, random.random()) for answer in range(8) for _ in range(40)]
shuffler.shuffle(prompts)
rounds = cycle(prompts)


def batch(share: list[float]) -> tuple[list[int], list[float]]:
    rows = islice(rounds, BATCH)
    taken = random.choices(range(8), weights=share, k=BATCH)
    return taken, [value if answer == right else 0.0 for answer, (right, value) in zip(taken, rows, strict=True)]


train(given.steps, batch)
