"""How scores are asked for, and what comes back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Advance = Callable[[int], None]


class ScorerOptions(Struct, frozen=True, kw_only=True):
    """How scores are asked for. `batch`: items at a time. `token_variable`: the environment variable with the token of
    an HTTP server. `device`: of a classifier, by default a GPU where there is one. `max_tokens`: where its input is
    cut, by default at what the model can take."""

    batch: int = 16
    timeout_s: float = 30.0
    retries: int = 3
    concurrency: int = 4
    token_variable: str = "RLDK_SCORER_TOKEN"  # noqa: S105 - the name of a variable
    device: str | None = None
    max_tokens: int | None = None


class ModelScores(Struct, kw_only=True):
    """The scores of n items, NaN where the model gave none. `notes`: what a reader should know of them. `doubts`: why
    the scores may not be those of these items at all, which a reader must know first."""

    name: str
    scores: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
