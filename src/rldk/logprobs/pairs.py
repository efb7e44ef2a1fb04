"""Gathers pairs of log-probabilities from samples: the same token as the sampler and as the trainer saw it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.samples import Sample

TOKENS_OF_STEP = 20_000  # enough for a slope to three digits; further tokens of a step are left out
MOST_STEPS = 64  # of a longer run, every second step is dropped, again and again


class Pairs(Struct, frozen=True, kw_only=True):
    """Pairs as columns of equal length (n,). With `sums`, each is the sum over a response of `length` tokens.

    `place`: the position in the response. `row`: the number of the response. `context`: the number of the prompt and
    step. `versions`: how old the weights of the sampler were, in steps; NaN where the record does not say. `respelled`,
    `spelled`: responses whose tokens the trainer saw otherwise, of those whose tokens are known to both."""

    sampler: NDArray[np.float64]
    trainer: NDArray[np.float64]
    place: NDArray[np.int64]
    row: NDArray[np.int64]
    context: NDArray[np.int64]
    step: NDArray[np.int64]
    length: NDArray[np.float64]
    lag: NDArray[np.float64]
    sums: bool = False
    samples: int = 0
    respelled: int = 0
    spelled: int = 0
    example: str = ""

    def __len__(self) -> int:
        return len(self.sampler)


class _Step(Struct):
    rows: list[tuple[NDArray[np.float64], ...]]
    tokens: int = 0


class _Gathering:
    def __init__(self) -> None:
        self.steps: dict[int, _Step] = {}
        self.sums: dict[int, _Step] = {}
        self.samples = self.respelled = self.spelled = 0
        self.example = ""
        self._contexts: dict[tuple[int, str], int] = {}
        self._rows = 0
        self._seen: dict[int, int] = {}
        self._stride = 1

    def take(self, sample: Sample) -> None:
        self.samples += 1
        self._compare_tokens(sample)
        x, y = sample.logp_rollout, sample.logp_train
        step = 0 if sample.step is None else sample.step
        lag = float("nan") if sample.version is None else float(step - sample.version)
        if isinstance(x, list) and isinstance(y, list):
            self._add(self.steps, sample, step, lag, _aligned(sample, x, y))
        elif isinstance(x, float) and isinstance(y, float) and np.isfinite(x) and np.isfinite(y):
            length = sample.n_tokens
            self._add(self.sums, sample, step, lag, (np.array([x]), np.array([y]), np.array([0.0])), length)

    def _compare_tokens(self, sample: Sample) -> None:
        sampled, trained = sample.response_ids, sample.train_ids
        x, y = sample.logp_rollout, sample.logp_train
        differ = isinstance(x, list) and isinstance(y, list) and len(x) != len(y)
        if not differ and (sampled is None or trained is None):
            return
        self.spelled += 1
        if differ or sampled != trained:
            self.respelled += 1
            counts = (len(x), len(y)) if isinstance(x, list) and isinstance(y, list) else (0, 0)
            self.example = (
                self.example or f"step {sample.step}: {counts[0]} tokens were sampled, {counts[1]} trained on"
            )

    def _add(
        self,
        steps: dict[int, _Step],
        sample: Sample,
        step: int,
        lag: float,
        pairs: tuple[NDArray[np.float64], ...],
        *length: float,
    ) -> None:
        x, y, place = pairs
        number = self._seen.setdefault(step, len(self._seen))
        if not len(x) or number % self._stride:
            return
        held = steps.setdefault(step, _Step([]))
        if held.tokens >= TOKENS_OF_STEP:
            return
        held.tokens += len(x)
        self._rows += 1
        key = step, sample.group_id or sample.prompt_key or f"row {self._rows}"
        context = self._contexts.setdefault(key, len(self._contexts))
        columns = (x, y, place, self._rows, context, step, length[0] if length else len(x), lag)
        held.rows.append(tuple(np.broadcast_to(np.asarray(c, dtype=np.float64), x.shape) for c in columns))
        if len(steps) > MOST_STEPS:
            self._stride *= 2
            for known in [s for s in steps if self._seen[s] % self._stride]:
                del steps[known]


def collect(samples: Iterable[Sample]) -> Pairs:
    """The pairs of all samples, or of some of their steps where there are many. Sums count only without lists."""
    found = _Gathering()
    for sample in samples:
        found.take(sample)
    steps = found.steps or found.sums
    rows = [row for step in steps.values() for row in step.rows]
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 8
    x, y, place, row, context, step, length, lag = columns
    whole = [column.astype(np.int64) for column in (place, row, context, step)]
    return Pairs(
        sampler=x,
        trainer=y,
        place=whole[0],
        row=whole[1],
        context=whole[2],
        step=whole[3],
        length=length,
        lag=lag,
        sums=not found.steps and bool(found.sums),
        samples=found.samples,
        respelled=found.respelled,
        spelled=found.spelled,
        example=found.example,
    )


def _aligned(sample: Sample, x: list[float], y: list[float]) -> tuple[NDArray[np.float64], ...]:
    """The tokens that both know and that have a loss. Lists of different length are aligned to nothing."""
    if len(x) != len(y):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    use = np.isfinite(a) & np.isfinite(b)
    mask = sample.loss_mask
    if mask is not None and len(mask) == len(a):
        use &= np.asarray(mask) != 0
    place: NDArray[np.float64] = np.cumsum(use, dtype=np.float64) - 1
    return a[use], b[use], place[use]
