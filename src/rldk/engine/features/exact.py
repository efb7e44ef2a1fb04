"""Sums of many windows at once, exactly rounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.engine.features.window import HUGE, total, totals

Array = NDArray[np.float64]
WORTH = 64  # sums; fewer are computed one by one in the time that numpy takes to begin
TINY = 1e-200  # below it, bounds of rounding errors lose their own precision
HALF_ULP = 2.0**-53


def window_sums(line: Array, size: int, count: int) -> Array:
    """As `totals`, exactly rounded, for one line or for several of the same length (lines x values).

    Neighbouring sums are joined like a tree. Each addition keeps its rounding error (Knuth's TwoSum), so that a sum and
    the sum of its errors are off by less than `doubt`. Where that could matter to the rounding, `total` decides."""
    count = min(count, line.shape[-1] - size + 1)
    if count <= 0:
        return np.empty((*line.shape[:-1], 0))
    part = line[..., line.shape[-1] - size - count + 1 :]
    largest = float(np.abs(part).max())
    many = count * (part.size // part.shape[-1]) >= WORTH and (TINY < largest < HUGE / size or largest == 0.0)
    if not many or bool(np.signbit(part[part == 0]).any()):
        one_by_one = [totals(values, size, count) for values in part.reshape(-1, part.shape[-1]).tolist()]
        return np.array(one_by_one, dtype=np.float64).reshape(*line.shape[:-1], count)
    high, low = _joined(part, size, count)
    doubt = 4.0 * size**3 * HALF_ULP**2 * largest
    least, sums = high + (low - doubt), high + (low + doubt)
    lines, doubtful = part.reshape(-1, part.shape[-1]), (least != sums).reshape(-1, count)
    found = sums.reshape(-1, count)
    for run, at in np.argwhere(doubtful).tolist():
        found[run, at] = total(lines[run, at : at + size].tolist())
    return found.reshape(sums.shape)


def _joined(part: Array, size: int, count: int) -> tuple[Array, Array]:
    """The sums of each `size` values and the sums of their rounding errors."""
    high, low = part, np.zeros(part.shape)  # of stretches of `length` values, by where they begin
    whole, errors = np.zeros((*part.shape[:-1], count)), np.zeros((*part.shape[:-1], count))
    done, length = 0, 1
    while True:
        if size & length:
            whole, error = _two_sum(whole, high[..., done : done + count])
            errors = errors + error + low[..., done : done + count]
            done += length
        if done == size:
            return whole, errors
        joined, error = _two_sum(high[..., :-length], high[..., length:])
        high, low, length = joined, low[..., :-length] + low[..., length:] + error, 2 * length


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sums, and what the rounding has cut off."""
    rounded = a + b
    part = rounded - a
    return rounded, (a - (rounded - part)) + (b - part)
