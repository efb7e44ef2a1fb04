"""The three questions that a comparison can answer, one function each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.stats.cusum import level_change
from rldk.core.stats.envelope import Excursion, excursions, persistent
from rldk.core.stats.stabilised import grows_with_level, signed_root, signed_square
from rldk.core.stats.ulps import ulp_distance
from rldk.diff.facts import SignalDivergence
from rldk.diff.sides import SharedSignal

Array = NDArray[np.float64]
ROUNDING = 1e-6  # relative difference up to which two values may be the same computation: float32 keeps 7 digits
AT_ONCE = 1e-3  # a first difference of this size is no rounding
SAME_START = 3  # common steps that two runs of one seed have in common before rounding can have grown
PER_LIMIT = 2.0  # the tolerance that stands for the default limits


class Strictness(Struct, frozen=True, kw_only=True):
    """`persistence`: consecutive steps beyond the limit. `window`: steps of the reference. `tolerance`: 2.0 is the
    default limit, 4.0 asks for twice as much."""

    persistence: int = 3
    window: int = 50
    tolerance: float = PER_LIMIT

    @property
    def factor(self) -> float:
        return self.tolerance / PER_LIMIT


class Answer(Struct, frozen=True, kw_only=True):
    """`low`, `high`: the range of B at each common step, empty where the question has none."""

    detail: SignalDivergence
    low: Array
    high: Array


def is_identical(signals: Sequence[SharedSignal]) -> bool:
    """Whether A and B have the same bits at every common step of every signal, and the same last step."""
    return all(
        s.step.size > 0 and s.last[0] == s.last[1] and not ulp_distance(s.values[0], s.values[1]).any() for s in signals
    )


def have_same_start(signals: Sequence[SharedSignal]) -> bool:
    """Whether A and B begin alike: the first values of all signals agree up to rounding, and one of them moves."""
    moving = False
    for signal in signals:
        a, b = signal.values[0][:SAME_START], signal.values[1][:SAME_START]
        if a.size < SAME_START or (_relative(a, b, _size(signal.values[0])) > ROUNDING).any():
            return False
        moving |= bool(np.ptp(a) > 0)
    return moving


def same_seed(signals: Sequence[SharedSignal], how: Strictness) -> list[Answer]:
    """Where B differs from A by more than rounding, although both are one computation."""
    limit = ROUNDING * how.factor
    made = []
    for signal in signals:
        a, b = signal.values[:2]
        ulps = ulp_distance(a, b)
        unequal = np.flatnonzero(ulps)
        relative = _relative(a, b, _size(a))
        # a run that ends soon after the first difference has too few steps left to persist
        lasting = persistent(relative / limit, min(how.persistence, max(1, relative.size - _first(unequal))))
        beyond = np.flatnonzero(lasting > 1)
        start = int(beyond[0]) if beyond.size else None
        first = int(unequal[0]) if unequal.size else None
        detail = SignalDivergence(
            signal=signal.name,
            n=int(signal.step.size),
            diverged=start is not None,
            first_step=_at(signal, start),
            onset=_at(signal, first if start is not None and first is not None and first <= start else start),
            first_unequal=_at(signal, first),
            score=float(lasting.max(initial=0.0)),
            ulps=None if first is None else float(ulps[first]),
            kind="" if start is None or first is None else _kind(relative, first, start),
            a=_value(signal, 0, start),
            b=_value(signal, 1, start),
        )
        made.append(Answer(detail=detail, low=np.zeros(0), high=np.zeros(0)))
    return made


def seed_noise(signals: Sequence[SharedSignal], how: Strictness) -> list[Answer]:
    """Where B leaves the range of the other runs. Of `values`, the first row is A and the second B; the range is that
    of all other rows. Where the spread of these grows with their level, B must leave it on the scale of roots, too."""
    rooted = {s.name for s in signals if grows_with_level(s.values[2:])}
    plain = _excursions({s.name: s.values for s in signals}, how)
    roots = {s.name: signed_root(s.values) if s.name in rooted else s.values for s in signals}
    found = _excursions(roots, how) if rooted else plain
    made = []
    for signal in signals:
        is_rooted = signal.name in rooted and found[signal.name].score <= plain[signal.name].score
        one = (found if is_rooted else plain)[signal.name]
        own = roots[signal.name][1] if is_rooted else signal.values[1]
        low, high = one.middle - one.half, one.middle + one.half
        if is_rooted:
            low, high = signed_square(np.maximum(low, 0.0)), signed_square(high)
        detail = SignalDivergence(
            signal=signal.name,
            n=int(signal.step.size),
            diverged=one.start is not None,
            first_step=_at(signal, one.start),
            onset=_at(signal, _still_inside(own, one.middle, one.half, one.start)),
            score=one.score,
            p=one.p,
            a=_value(signal, 0, one.start),
            b=_value(signal, 1, one.start),
        )
        made.append(Answer(detail=detail, low=low, high=high))
    return made


def _excursions(scaled: Mapping[str, Array], how: Strictness) -> dict[str, Excursion]:
    curves = {name: (values[1], values[2:]) for name, values in scaled.items()}
    return excursions(curves, persistence=how.persistence, reach=max(1, how.window // 4), factor=how.factor)


def one_pair(signals: Sequence[SharedSignal], how: Strictness) -> list[Answer]:
    """Where the difference of B and A leaves the level that it had in the first `window` common steps."""
    made = []
    for signal in signals:
        a, b = signal.values[:2]
        with np.errstate(invalid="ignore", over="ignore"):
            off = b - a
        off[np.isnan(a) & np.isnan(b)] = 0.0
        found = level_change(off, how.window, persistence=how.persistence, factor=how.factor, signals=len(signals))
        start = found.start if found is not None else None
        detail = SignalDivergence(
            signal=signal.name,
            n=int(signal.step.size),
            diverged=start is not None,
            first_step=_at(signal, start),
            onset=_at(signal, found.onset) if found is not None else None,
            score=None if found is None else found.score,
            a=_value(signal, 0, start),
            b=_value(signal, 1, start),
        )
        half = math.nan if found is None else 3 * found.spread
        middle = a + (math.nan if found is None else found.middle)
        made.append(Answer(detail=detail, low=middle - half, high=middle + half))
    return made


def _kind(relative: Array, first: int, start: int) -> Literal["rounding", "change"]:
    """Rounding grows over many steps from a difference that is hardly there; a change is large when it comes."""
    return "change" if relative[first] > AT_ONCE or start == first else "rounding"


def _relative(a: Array, b: Array, size: float) -> Array:
    """The difference as a share of the larger value, or of the usual size of the signal where both are near 0."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), size)
        share = np.where(a == b, 0.0, np.abs(b - a) / scale)
    share[np.isnan(a) & np.isnan(b)] = 0.0
    return np.nan_to_num(share, nan=1.0, posinf=1.0)


def _size(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(np.median(finite)) if finite.size else 0.0


def _first(places: NDArray[np.int64]) -> int:
    return int(places[0]) if places.size else 0


def _still_inside(values: Array, middle: Array, half: Array, start: int | None) -> int | None:
    """The last position before `start` at which the run was in the inner half of the range."""
    if start is None:
        return None
    with np.errstate(invalid="ignore"):
        inside = np.flatnonzero(np.abs(values - middle)[:start] <= 0.5 * half[:start])
    return int(inside[-1]) if inside.size else 0


def _at(signal: SharedSignal, place: int | None) -> int | None:
    return None if place is None else int(signal.step[place])


def _value(signal: SharedSignal, run: int, place: int | None) -> float | None:
    return float(signal.values[run, -1 if place is None else place]) if signal.step.size else None
