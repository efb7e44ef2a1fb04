"""How far replicas are apart: bit by bit, in units of the last place, and by share, metric by metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.table import MetricTable, Phase
from rldk.engine.compare import align

_NAN_BITS = np.int64(0x7FF8000000000000)
NEAR_ZERO = 1e-3
LEAST = 1e-12  # a sum that would be zero without rounding is about 1e-16 in 64 bits
FEWEST = 5  # differences below which nothing is said about their growth
SURE = 4.0
_PHASES: tuple[Phase, ...] = ("train", "eval")


class ReplicaSpread(Struct, frozen=True, kw_only=True):
    """One metric of all replicas. `phase`: train or eval. `steps`: how many were compared, `unequal`: at how many the
    replicas differ, `first_step`: the first of them; None without any.

    `first_share`, `share`: the range over the replicas as a share of the largest value, at that step and at the worst.
    `growth`: the factor by which the share grows from the first to the last difference, 1 where no trend is seen.
    `start`: the first step that was compared. `ulps`: the largest distance in units of the last place
    (of a 64-bit float). `beyond`: the first step at which they differ by more than the tolerance. `variance`: the
    largest variance at one step. `missing`: values that one replica has and another has not. `values`: what each
    replica says at `first_step`."""

    metric: str
    phase: Phase
    steps: int
    unequal: int = 0
    first_step: int | None = None
    first_share: float = 0.0
    share: float = 0.0
    growth: float = 1.0
    start: int | None = None
    ulps: float = 0.0
    beyond: int | None = None
    variance: float = 0.0
    missing: int = 0
    values: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The metric, with its phase where it is not training."""
        return self.metric if self.phase == "train" else f"{self.phase} {self.metric}"


class StepChoice(Struct, frozen=True, kw_only=True):
    """Which steps are compared: the first `steps` that are logged, None for all, and every `stride`-th of them."""

    steps: int | None = None
    stride: int = 1


def spreads(
    tables: Sequence[MetricTable], metrics: Sequence[str], window: StepChoice, tolerance: float = 0.0
) -> list[ReplicaSpread]:
    """The spread of each metric over the tables, for each phase in which any of them has it."""
    return [
        spread
        for name in metrics
        for phase in _PHASES
        if (spread := _spread(tables, name, phase, window, tolerance)) is not None
    ]


def distance(first: MetricTable, second: MetricTable, metrics: Sequence[str], window: StepChoice) -> float:
    """The median over metrics and steps of how far two tables are apart, as a share of the larger value.

    0 where they are bitwise equal, NaN where they have nothing in common."""
    shares: list[NDArray[np.float64]] = []
    for name in metrics:
        aligned = align((first, second), name)
        both = _window(np.asarray(aligned.present.all(axis=0)), window)
        shares.append(_shares(aligned.values[:, both]))
    together = np.concatenate(shares) if shares else np.empty(0)
    if not together.size:
        return math.nan
    return 0.0 if not together.any() else max(float(np.median(together)), float(np.nextafter(0, 1)))


def difference_curve(
    tables: Sequence[MetricTable], name: str, phase: Phase, window: StepChoice
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The steps that all tables have, and at each the range over them as a share of the largest value: 0 where their
    bits are equal, infinite where one value is finite and another is not."""
    both = _compared(tables, name, phase, window)
    if not both.step.size:
        return both.step, np.empty(0)
    return both.step, np.where(both.unequal, _shares(both.values), 0.0)


class _Compared(Struct, frozen=True):
    """The values of a metric at the steps that are compared: (tables, steps). `missing`: values without a partner.
    `logged`: whether any table has the metric. `unequal`: the steps at which bits differ."""

    step: NDArray[np.int64]
    values: NDArray[np.float64]
    bits: NDArray[np.int64]
    missing: int
    logged: bool

    @property
    def unequal(self) -> NDArray[np.bool_]:
        return np.asarray((self.bits != self.bits[0]).any(axis=0))


def _compared(tables: Sequence[MetricTable], name: str, phase: Phase, window: StepChoice) -> _Compared:
    aligned = align(tables, name, phase=phase)
    missing = int((~aligned.present).sum()) + sum(aligned.unmatched)
    both = _window(np.asarray(aligned.present.all(axis=0)), window)
    values = aligned.values[:, both]
    logged = bool(aligned.present.any()) or sum(aligned.unmatched) > 0
    return _Compared(aligned.step[both], values, _bits(values), missing, logged)


def _spread(
    tables: Sequence[MetricTable], name: str, phase: Phase, window: StepChoice, tolerance: float
) -> ReplicaSpread | None:
    both = _compared(tables, name, phase, window)
    if not both.logged:
        return None
    values, step, missing = both.values, both.step, both.missing
    made = ReplicaSpread(metric=name, phase=phase, steps=int(step.size), missing=missing)
    if not step.size:
        return made
    bits, unequal = both.bits, both.unequal
    if not unequal.any():
        return made
    shares = np.where(unequal, _shares(values), 0.0)
    first = int(np.argmax(unequal))
    beyond = unequal & (shares > tolerance)
    finite = np.where(np.isfinite(values), values, np.nan)[:, np.isfinite(values).all(axis=0)]
    return ReplicaSpread(
        metric=name,
        phase=phase,
        steps=int(step.size),
        unequal=int(unequal.sum()),
        first_step=int(step[first]),
        first_share=float(shares[first]),
        share=float(shares.max()),
        growth=_growth(step[shares > 0], shares[shares > 0]),
        start=int(step[0]),
        ulps=float(_ulps(bits)),
        beyond=int(step[np.argmax(beyond)]) if beyond.any() else None,
        variance=float(finite.var(axis=0, ddof=1).max()) if finite.size else math.nan,
        missing=missing,
        values=tuple(values[:, first].tolist()),
    )


def _growth(step: NDArray[np.int64], shares: NDArray[np.float64]) -> float:
    """The growth of a line through the logarithms, where its slope is more than `SURE` times its standard error."""
    if step.size < FEWEST or not np.isfinite(shares).all():
        return 1.0
    x = (step - step.mean()) / max(float(np.ptp(step)), 1.0)  # the whole range is 1
    y = np.log(shares)
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    error = float(np.sqrt(rest @ rest / (step.size - 2) / (x @ x)))
    return float(np.exp(min(slope, 700.0))) if slope > SURE * error else 1.0


def _window(both: NDArray[np.bool_], window: StepChoice) -> NDArray[np.int64]:
    """The places of the steps to compare."""
    places = np.flatnonzero(both)[: window.steps]
    return places[:: window.stride]


def _bits(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The values as integers that rise with them; every NaN is the same one."""
    bits = np.ascontiguousarray(values).view(np.int64)
    rising = np.where(bits < 0, np.int64(-(2**63)) - bits - 1, bits)
    return np.where(np.isnan(values), _NAN_BITS, rising)


def _ulps(bits: NDArray[np.int64]) -> float:
    """The largest distance of the integers at one step. As unsigned numbers their difference never overflows."""
    low, high = bits.min(axis=0).view(np.uint64), bits.max(axis=0).view(np.uint64)
    return float((high - low).max())


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The range at each step as a share of the largest value; infinite where one is finite and another is not.

    Where a metric passes through zero, rounding is no small share of it. So a value counts as at least a thousandth of
    the metric's largest one, and as at least `LEAST`."""
    sizes = np.abs(values)
    largest = sizes[np.isfinite(sizes)].max(initial=0.0)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        low, high = values.min(axis=0), values.max(axis=0)
        share = (high - low) / np.maximum(sizes.max(axis=0), max(largest * NEAR_ZERO, LEAST))
    same = (low == high) | np.isnan(values).all(axis=0)
    return np.where(same, 0.0, np.where(np.isfinite(share), share, np.inf))
