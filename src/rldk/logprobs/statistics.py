"""The shape of the gap between two sets of log-probabilities. Arrays have shape (n,), one value a token."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.logprobs.pairs import Pairs

Array = NDArray[np.float64]
CAP = 20.0  # nats; verl and NeMo RL clamp log-ratios there
ROBUST = 1.4826
JUMP_SCALES, LEAST_JUMP = 8.0, 0.3  # a jump is so many robust scales, and so many nats, away from the median gap
BANDS = 10  # of positions


class FittedLine(Struct, frozen=True, kw_only=True):
    """A line of the trainer's on the sampler's log-probabilities. `fit`: the share of the variance that it explains."""

    slope: float
    fit: float
    n: int

    @property
    def slope_error(self) -> float:
        """The standard error of the slope."""
        return abs(self.slope) * math.sqrt(max(0.0, 1 / self.fit - 1) / self.n) if self.n and self.fit > 0 else math.inf


class GapShape(Struct, frozen=True, kw_only=True):
    """The gap d = trainer - sampler. `median`, `scale`: robust; `lower`, `upper`: shares of tokens clearly below and
    above 0. `mass`: the mean of exp(d), which is 1 where every token that the trainer may choose can be sampled, and
    the kept mass under truncated sampling; `mass_error`: its standard error. `error`: the mean of exp|d|. `shift`: the
    mean difference of the probabilities. `context`: the line through different tokens of the same context. `jumps`:
    the share of tokens that jump; `jump_share`: their part of the whole gap; `followed`: how often a token after a
    large fall jumps, too."""

    tokens: int
    mean: float
    median: float
    scale: float
    lower: float
    upper: float
    mass: float
    mass_error: float
    error: float
    shift: float
    line: FittedLine
    context: FittedLine
    jumps: float
    jump_share: float
    followed: float
    falls: int


def shape_of(pairs: Pairs) -> GapShape:
    """The shape of the gap. Raises nothing for any finite pairs; needs at least one."""
    x, y = pairs.sampler, pairs.trainer
    d = np.clip(y - x, -CAP, CAP)
    median = float(np.median(d))
    scale = ROBUST * float(np.median(np.abs(d - median)))
    clear = max(0.02, 3 * scale if abs(median) < scale else 0.0)
    jump = np.abs(d - median) > max(JUMP_SCALES * scale, LEAST_JUMP)
    size = np.abs(d)
    total = float(size.sum())
    followed, falls = _followed(pairs, jump, d)
    mass, mass_error = _mean_by_row(np.exp(d), pairs.row)
    return GapShape(
        tokens=len(d),
        mean=float(d.mean()),
        median=median,
        scale=scale,
        lower=float((d < -clear).mean()),
        upper=float((d > 0.02).mean()),
        mass=mass,
        mass_error=mass_error,
        error=float(np.exp(size).mean()),
        shift=float(np.abs(np.exp(y) - np.exp(x)).mean()),
        line=line(x, y),
        context=context_line(pairs),
        jumps=float(jump.mean()),
        jump_share=float(size[jump].sum()) / total if total else 0.0,
        followed=followed,
        falls=falls,
    )


def line(x: Array, y: Array) -> FittedLine:
    """The least-squares line through all tokens; NaN where all x are equal."""
    return _through_zero(x - x.mean(), y - y.mean())


def context_line(pairs: Pairs) -> FittedLine:
    """The line through the first tokens of responses to one prompt, each context centred.

    The tokens of one context share their normaliser, so a temperature is the slope itself, and its fit is exact."""
    first = np.flatnonzero(pairs.place == 0)
    x, y, context = pairs.sampler[first], pairs.trainer[first], pairs.context[first]
    _, index, counts = np.unique(context, return_inverse=True, return_counts=True)
    if not len(counts):
        return FittedLine(slope=math.nan, fit=math.nan, n=0)
    a = x - (np.bincount(index, x) / counts)[index]
    b = y - (np.bincount(index, y) / counts)[index]
    use = np.abs(a) > 1e-3
    return _through_zero(a[use], b[use])


def gap_by_step(pairs: Pairs) -> list[tuple[int, float]]:
    """The median size of the gap at each step, for each token of the step."""
    size = np.abs(pairs.trainer - pairs.sampler)
    if pairs.sums:
        size = size / np.where(pairs.length > 0, pairs.length, 1.0)
    return [(int(step), float(np.median(size[pairs.step == step]))) for step in np.unique(pairs.step)]


def gap_by_place(pairs: Pairs) -> list[tuple[int, int, float]]:
    """The median size of the gap in bands of positions: (first, last, median). The first token is a band of its own."""
    size = np.abs(pairs.trainer - pairs.sampler)
    inner = pairs.place[pairs.place > 0]
    if not len(inner):
        return []
    edges = np.unique(np.quantile(inner, np.linspace(0, 1, BANDS)).astype(np.int64))
    bands = [(0, 0), *zip(edges[:-1].tolist(), (edges[1:] - 1).tolist(), strict=True)]
    bands[-1] = (bands[-1][0], int(edges[-1]))
    made = []
    for low, high in bands:
        use = (pairs.place >= low) & (pairs.place <= high)
        if use.any():
            made.append((low, high, float(np.median(size[use]))))
    return made


def gap_by_lag(pairs: Pairs) -> list[tuple[int, float]]:
    """The median size of the gap by the age of the sampler's weights, where records know it."""
    size, known = np.abs(pairs.trainer - pairs.sampler), np.isfinite(pairs.lag)
    lags = np.unique(pairs.lag[known])
    return [(int(lag), float(np.median(size[known & (pairs.lag == lag)]))) for lag in lags[:MOST_LAGS]]


MOST_LAGS = 32


def _through_zero(a: Array, b: Array) -> FittedLine:
    square, total = float((a * a).sum()), float((b * b).sum())
    if square <= 0 or total <= 0:
        return FittedLine(slope=math.nan, fit=math.nan, n=len(a))
    slope = float((a * b).sum()) / square
    return FittedLine(slope=slope, fit=1 - float(((b - slope * a) ** 2).sum()) / total, n=len(a))


def _mean_by_row(values: Array, row: NDArray[np.int64]) -> tuple[float, float]:
    """The mean, and its standard error over responses: tokens of one response depend on each other."""
    _, index, counts = np.unique(row, return_inverse=True, return_counts=True)
    mean = float(values.mean())
    if len(counts) < 2:
        return mean, math.inf
    off = np.bincount(index, values - mean)
    return mean, float(np.sqrt((off**2).sum())) / len(values)


def _followed(pairs: Pairs, jump: NDArray[np.bool_], d: Array) -> tuple[float, int]:
    """How often the token after a fall of more than 2 nats jumps, too, and how many such falls there are."""
    same = (pairs.row[1:] == pairs.row[:-1]) & (pairs.place[1:] == pairs.place[:-1] + 1)
    falls = same & jump[:-1] & (d[:-1] < -2)
    n = int(falls.sum())
    return (float(jump[1:][falls].mean()) if n else math.nan), n
