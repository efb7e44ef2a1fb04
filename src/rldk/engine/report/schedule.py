"""The shape of a learning-rate schedule, recognised from its values."""

from __future__ import annotations

import math
from itertools import pairwise

LEAST = 10  # the number of values from which a shape is named
ALIKE = 0.05  # share of its range by which a schedule may differ from its shape (block means and logging round it)
FLAT = 1e-3  # of the largest value


def schedule_shape(rates: list[float]) -> str:
    """The shape: "constant", "linear", "cosine" or "other", after "warmup + " where it began lower; "" for few values.

    `rates` are equally spaced. A warm-up that is still going on is "warmup", and a rate that is always 0 is "zero"."""
    top = max(rates, default=0.0)
    if len(rates) < LEAST or not all(map(math.isfinite, rates)):
        return ""
    if top <= 0:
        return "zero"
    if top - min(rates) <= FLAT * top:
        return "constant"
    peak = next(i for i, x in enumerate(rates) if x >= (1 - FLAT) * top)
    climbs = peak > 0 and rates[0] < 0.9 * top and all(a <= b for a, b in pairwise(rates[: peak + 1]))
    rest = rates[peak:]
    if climbs and len(rest) < 4:
        return "warmup"
    return ("warmup + " if climbs else "") + _decay(rest if climbs else rates)


def _decay(rates: list[float]) -> str:
    top, low, n = max(rates), min(rates), len(rates)
    if top - low <= FLAT * top:
        return "constant"
    if rates[0] < (1 - FLAT) * top or n < 4:
        return "other"
    ends = [rates[0] + (rates[-1] - rates[0]) * i / (n - 1) for i in range(n)]
    reached = math.acos(max(-1.0, min(1.0, 2.0 * rates[-1] / top - 1.0)))  # how far round a cosine that ends at 0 is
    wave = [0.5 * top * (1.0 + math.cos(reached * i / (n - 1))) for i in range(n)]
    floored = [low + 0.5 * (top - low) * (1.0 + math.cos(math.pi * i / (n - 1))) for i in range(n)]  # to a floor, done
    strays = {"linear": _stray(rates, ends), "cosine": min(_stray(rates, wave), _stray(rates, floored))}
    shape = min(strays, key=lambda name: strays[name])
    return shape if strays[shape] <= ALIKE * (top - low) else "other"


def _stray(rates: list[float], shape: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(rates, shape, strict=True))
