"""Whether two samples have one distribution, where values of one block depend on each other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.clustered import Labels, codes_of
from rldk.core.stats.distance import wasserstein

Array = NDArray[np.float64]
MOST = 10_000  # values of a sample that are looked at
DRAWS = 299


def permutation_distance(
    a: Array, b: Array, block_a: Labels | None, block_b: Labels | None, *, seed: int, draws: int = DRAWS
) -> tuple[float, float]:
    """The Wasserstein distance in standard deviations of `b`, and its p-value by permuting whole blocks.

    Blocks are what may be exchanged: prompts, or runs of neighbouring steps; without them each value is its own. The
    p-value is (1 + draws at least as far) / (1 + draws), so that the smallest is 1 / 300. Of samples of more than
    10,000 values whole blocks are drawn, eight at the least, and of blocks that are still too large evenly spaced order
    statistics. NaN where a sample is empty or `b` is constant."""
    rng = np.random.default_rng(seed)
    spread = float(b.std()) if len(b) else 0.0
    if not len(a) or not spread > 0:
        return math.nan, math.nan
    distance = wasserstein(a, b) / spread
    first, second = _blocks(a, block_a, rng), _blocks(b, block_b, rng)
    every = [*first, *second]
    if len(every) < 8:
        return distance, math.nan
    values = np.concatenate(every)
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order])
    owner = np.repeat(np.arange(len(every)), [len(block) for block in every])[order]
    mine = np.zeros(len(every), dtype=bool)
    mine[: len(first)] = True
    seen = _distance(mine[owner], steps)
    farther = sum(_distance(rng.permutation(mine)[owner], steps) >= seen for _ in range(draws))
    return distance, (1 + farther) / (1 + draws)


def _blocks(values: Array, block: Labels | None, rng: np.random.Generator) -> list[Array]:
    """The values of each block; of too many values, some whole blocks."""
    if block is None:
        used = values if len(values) <= MOST else values[np.sort(rng.choice(len(values), MOST, replace=False))]
        return list(used[:, None])
    label = codes_of(block)
    kept = np.arange(int(label.max()) + 1)
    if len(values) > MOST:
        kept = rng.permutation(kept)[: max(8, len(kept) * MOST // len(values))]
    chosen = np.isin(label, kept)
    some, own = values[chosen], label[chosen]
    order = np.argsort(own, kind="stable")
    made = np.split(some[order], np.flatnonzero(np.diff(own[order])) + 1)
    return made if len(some) <= 2 * MOST else [_thinned(each, MOST / len(some)) for each in made]


def _thinned(values: Array, share: float) -> Array:
    """About this share of the values, at the middles of equal parts of their order: their distribution, coarser."""
    count = max(1, round(share * len(values)))
    middles = ((np.arange(count) + 0.5) * (len(values) / count)).astype(np.int64)
    thinned: Array = np.partition(values, middles)[middles]
    return thinned


def _distance(first: NDArray[np.bool_], steps: Array) -> float:
    """The area between the distribution functions of both groups of values in order."""
    count = int(first.sum())
    if not 0 < count < len(first):
        return 0.0
    share = np.where(first, 1 / count, -1 / (len(first) - count))
    return float((np.abs(np.cumsum(share)[:-1]) * steps).sum())
