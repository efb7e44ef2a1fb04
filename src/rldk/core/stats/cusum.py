"""When the level of a series leaves that of its beginning: Page's cumulative sum of prewhitened values."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]
DRIFT = 0.5  # innovation standard deviations that a change has at least: what the sum is tuned to (Page 1954)
LIMIT = 12.0  # times exp(1.4 phi^2): no more than 1 % false alarms in 1000 steps, see docs/diff.md
GROWTH = 1.4
PER_LOG_SIGNALS = 4.0  # measured: with log(signals) alone, as a normal sum needs, five signals gave 8 % false alarms
FURTHEST_PHI = 0.97
CUT = 10.0  # innovations are cut here, so that one spike is no shift


class LevelChange(Struct, frozen=True, kw_only=True):
    """Where the level left that of the reference. `start`: the first position of the persistent alarm, None without
    one. `onset`: where the sum last left 0 before it. `score`: the largest sum, in limits. `phi`: the autocorrelation
    that was taken out. `middle`, `spread`: of the reference."""

    start: int | None
    onset: int | None
    score: float
    phi: float
    middle: float
    spread: float


def level_change(
    values: Array, window: int, *, persistence: int = 3, factor: float = 1.0, signals: int = 1
) -> LevelChange | None:
    """Compares a series with its first `window` values, which nothing later may change: a lasting shift stays visible.

    None where less than `persistence` values follow the reference, or where it has fewer than 10. `signals`: how many
    series are tested together; the limit grows with the logarithm of their number (Bonferroni, for a sum whose tail
    falls exponentially). `factor` multiplies the limit. A value that is not finite counts as far away."""
    reference = values[:window]
    reference = reference[np.isfinite(reference)]
    if reference.size < 10 or values.size < window + persistence:
        return None
    middle = float(np.median(reference)) if _heavy(reference) else float(reference.mean())
    phi = _autocorrelation(reference - middle)
    spread = float(reference.std(ddof=1))
    noise = spread * math.sqrt(1 - phi * phi)
    if noise <= 1e-9 * float(np.max(np.abs(reference))):
        noise = max(1e-9 * float(np.max(np.abs(reference))), 1e-300)
    off = np.where(np.isfinite(values), values - middle, math.nan)
    before = np.concatenate([[0.0], off[:-1]])
    with np.errstate(over="ignore", invalid="ignore"):
        unusual = np.nan_to_num((off - phi * np.nan_to_num(before)) / noise, nan=CUT, posinf=CUT, neginf=-CUT)
    unusual = np.clip(unusual, -CUT, CUT)
    allowance = DRIFT + 2 / math.sqrt(reference.size)  # two standard errors of the reference's mean
    limit = (LIMIT + PER_LOG_SIGNALS * math.log(signals)) * math.exp(GROWTH * phi * phi) * factor
    up, up_since = _sums(unusual, allowance, window)
    down, down_since = _sums(-unusual, allowance, window)
    sums = np.maximum(up, down)
    since = np.where(up >= down, up_since, down_since)
    beyond = np.lib.stride_tricks.sliding_window_view(sums > limit, persistence).all(axis=1)
    places = np.flatnonzero(beyond)
    start = int(places[0]) if places.size else None
    return LevelChange(
        start=start,
        onset=None if start is None else int(since[start]),
        score=float(sums.max()) / limit,
        phi=phi,
        middle=middle,
        spread=spread,
    )


def _sums(values: Array, allowance: float, window: int) -> tuple[Array, NDArray[np.int64]]:
    """The one-sided cumulative sum after the reference, and since where it is above 0."""
    made, since = np.zeros(values.size), np.zeros(values.size, dtype=np.int64)
    total, began = 0.0, window
    for i in range(window, values.size):
        if total == 0.0:
            began = i
        total = max(0.0, total + float(values[i]) - allowance)
        made[i], since[i] = total, began
    return made, since


def _autocorrelation(off: Array) -> float:
    """That of lag 1, with the first-order correction of its bias in short series (Kendall 1954), within 0 and 0.97."""
    power = float(np.dot(off, off))
    if power <= 0:
        return 0.0
    raw = float(np.dot(off[1:], off[:-1])) / power
    return min(max(raw + (1 + 4 * raw) / off.size, 0.0), FURTHEST_PHI)


def _heavy(values: Array) -> bool:
    """Whether one value of the reference alone would move its mean by half a robust deviation."""
    middle = float(np.median(values))
    robust = 1.4826 * float(np.median(np.abs(values - middle)))
    return bool(np.max(np.abs(values - middle)) > 0.5 * values.size * robust > 0)
