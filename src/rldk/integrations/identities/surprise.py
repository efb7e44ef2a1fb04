"""Whether sampled tokens are as surprising as the policy says: a test of what the samples were taken from."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from rldk.integrations.identities.batch import masked

BATCHES = 20  # the newest rollouts that are counted together
LEAST_TOKENS = 100


class Surprise:
    """Sums -log p minus the entropy over sampled tokens. For tokens that come from the policy itself, each difference
    is 0 on average whatever came before it, so that the sum divided by its deviation is a standard normal."""

    def __init__(self) -> None:
        self._batches: deque[tuple[int, float, float]] = deque(maxlen=BATCHES)

    def take(self, logp: Any, entropy: Any, mask: Any = None) -> dict[str, float]:
        """The mean difference in nats, and the sum in standard deviations, over the newest batches. `mask`: the tokens
        that were sampled, all of them."""
        gap = -masked(logp, mask) - masked(entropy, mask)
        gap = gap[np.isfinite(gap)]
        self._batches.append((gap.size, float(gap.sum()), float(np.square(gap).sum())))
        count, total, squares = (sum(column) for column in zip(*self._batches, strict=True))
        if count < LEAST_TOKENS:
            return {}
        deviation = math.sqrt(max(squares - total * total / count, 0.0))
        return {
            "sampled_surprise_excess": total / count,
            "sampled_surprise_z": total / deviation if deviation > 0 else 0.0,
        }
