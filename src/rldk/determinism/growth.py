"""How the difference between replicas grows over the steps: a curve for each of the metrics that differ first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from rldk.cards.series import extremes
from rldk.cards.words import plural
from rldk.core.table import MetricTable
from rldk.core.view import Band, Curve, Limit
from rldk.engine.compare.classes import CLOSE
from rldk.engine.compare.replicas import FEWEST, ReplicaSpread, StepChoice, difference_curve

DRAWN = 4  # metrics with a curve
BUCKETS = 300  # of a curve, each with its least and its largest value
FLOOR = 1e-16  # about the last of 53 bits: where steps with equal bits are drawn
NAMED = "difference in {}, as a share of the value"


class DifferenceGrowth(Struct, frozen=True, kw_only=True):
    """The difference between replicas in one metric, thinned out. `share`: the range over the replicas as a share of
    the largest value, 0 where all bits are equal. `apart`: steps at which one replica is finite and another is not.
    `unequal`: at how many steps they differ. `first_step`: the first of them, and `first_share` its difference.
    `largest_step`, `largest`: where the difference is largest. `grows`: a trend was seen. `near_step`: the first step
    with a tenth of the largest difference."""

    metric: str
    unequal: int
    first_step: int
    first_share: float
    largest_step: int
    largest: float
    near_step: int
    grows: bool
    step: Sequence[int] = ()
    share: Sequence[float] = ()
    apart: Sequence[int] = ()


def growth_of(
    tables: Sequence[MetricTable], found: Sequence[ReplicaSpread], window: StepChoice
) -> tuple[DifferenceGrowth, ...]:
    """The curves of the metrics that differ first, the earliest first."""
    parted = [each for each in found if each.first_step is not None]
    parted.sort(key=lambda each: (each.first_step or 0, -each.first_share))
    made = (_growth(tables, each, window) for each in parted[:DRAWN])
    return tuple(one for one in made if one is not None)


def growth_curve(one: DifferenceGrowth, tolerance: float) -> Curve:
    """The curve on a log scale. Steps with equal bits stand at `FLOOR`, or below the smallest difference."""
    floor = min([FLOOR, *(share for share in one.share if share > 0)])
    limits = [Limit(value=CLOSE, label="more than rounding")]
    limits += [Limit(value=tolerance, label="tolerance")] if tolerance > 0 else []
    first = Band(first=one.first_step, last=one.first_step, kind="onset", label=f"parts, step {one.first_step:,}")
    return Curve(
        name=NAMED.format(one.metric),
        step=tuple(one.step),
        value=tuple(max(share, floor) for share in one.share),
        gaps=tuple(one.apart),
        bands=(first,),
        limits=tuple(limits),
        log=True,
    )


def growth_words(one: DifferenceGrowth) -> str:
    """What the curve shows, as a clause."""
    began = f"the difference in {one.metric} is {one.first_share:.2g} of the value at step {one.first_step:,}"
    if one.unequal < FEWEST:
        return f"{began}; {plural(one.unequal, 'unequal step')} are too few to say whether it grows"
    most = f"{one.largest:.2g} at most (step {one.largest_step:,})"
    tens = math.log10(one.largest / 10 / one.first_share) if one.first_share > 0 and one.largest > 0 else 0.0
    if not one.grows:
        return f"{began} and {most}: no growth is seen"
    if tens < 1 or one.near_step <= one.first_step:
        return f"{began} and {most}: it grows"
    pace = (one.near_step - one.first_step) / tens
    every = f"tenfold about every {plural(round(pace), 'step')}" if pace >= 1 else "more than tenfold a step"
    return f"{began} and {most}: it grows {every} until step {one.near_step:,}"


def _growth(tables: Sequence[MetricTable], each: ReplicaSpread, window: StepChoice) -> DifferenceGrowth | None:
    step, share = difference_curve(tables, each.metric, each.phase, window)
    finite = np.isfinite(share)
    apart, step, share = step[~finite], step[finite], share[finite]
    if not share.any():
        return None
    kept = extremes(share, BUCKETS)
    top = int(share.argmax())
    return DifferenceGrowth(
        metric=each.name,
        unequal=each.unequal,
        first_step=each.first_step or 0,
        first_share=each.first_share,
        largest_step=int(step[top]),
        largest=float(share[top]),
        near_step=int(step[np.argmax(share >= share[top] / 10)]),
        grows=each.growth > 1,
        step=tuple(step[kept].tolist()),
        share=tuple(float(f"{value:.4g}") for value in share[kept].tolist()),
        apart=tuple(apart[:200].tolist()),
    )
