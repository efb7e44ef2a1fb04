"""Rewards are scored in threads and added in the order in which they finish: sums differ in the last digits."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from bandit import BATCH, options, train

given = options()
rng = random.Random(given.seed)
pays = [rng.random() for _ in range(8)]


def score(answer: int, noise: float) -> float:
    time.sleep(0.001)  # a judge that takes its time
    return pays[answer] + noise


def batch(share: list[float]) -> tuple[list[int], list[float]]:
    taken = rng.choices(range(8), weights=share, k=BATCH)
    with ThreadPoolExecutor(BATCH) as pool:
        asked = [pool.submit(score, answer, 0.1 * rng.gauss(0.0, 1.0)) for answer in taken]
        total = sum(done.result() for done in as_completed(asked))
    return taken, [one.result() / total for one in asked]


train(given.steps, batch)
