"""Where replicas differ first, and which metrics differ by more than a tolerance."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from rldk.engine.compare.replicas import ReplicaSpread

MAX_MISMATCHES = 200


class FirstDivergence(Struct, frozen=True, kw_only=True):
    """The first step at which replicas differ, and the metric that differs most there. `values`: one a replica."""

    step: int
    metric: str
    share: float
    values: tuple[float, ...]


class Mismatch(Struct, frozen=True, kw_only=True):
    """A metric that differs beyond the tolerance. `step`: the first at which it does; None where it is the number of
    values that differs. `share`: the largest difference, as a share of the value. `ulps`: the same in units of the last
    place."""

    metric: str
    step: int | None
    share: float
    ulps: float
    unequal: int
    steps: int
    missing: int = 0


def mismatches_of(found: Sequence[ReplicaSpread]) -> tuple[Mismatch, ...]:
    """The metrics that differ beyond the tolerance, the earliest first."""
    made = [
        Mismatch(
            metric=each.name,
            step=each.beyond,
            share=each.share,
            ulps=each.ulps,
            unequal=each.unequal,
            steps=each.steps,
            missing=each.missing,
        )
        for each in found
        if each.beyond is not None or each.missing
    ]
    return tuple(sorted(made, key=lambda m: (m.step is None, m.step or 0, -m.share)))[:MAX_MISMATCHES]


def divergence_of(mover: ReplicaSpread) -> FirstDivergence:
    """The first difference of the metric that differs first."""
    return FirstDivergence(step=mover.first_step or 0, metric=mover.name, share=mover.first_share, values=mover.values)
