"""A resumed run beside the uninterrupted one, at the steps after the resume."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rldk.core.table import MetricTable
from rldk.engine.compare.classes import first_mover
from rldk.engine.compare.replicas import ReplicaSpread, StepChoice, spreads
from rldk.rules.resumes import ResumedDifference


def steps_between(table: MetricTable, first: int, last: int) -> MetricTable:
    """The rows of a table from step `first` to step `last`, both included."""
    kept = np.flatnonzero((table.step >= first) & (table.step <= last))
    return MetricTable(
        step=table.step[kept],
        columns={name: column[kept] for name, column in table.columns.items()},
        phase=table.phase[kept],
        segment=table.segment[kept],
        time=table.time[kept],
        stated_nan={name: np.flatnonzero(np.isin(kept, rows)) for name, rows in table.stated_nan.items()},
    )


def step_after(table: MetricTable, step: int) -> int | None:
    """The first logged step after `step`; None where there is none."""
    later = table.step[table.step > step]
    return int(later.min()) if later.size else None


def difference_from(
    whole: MetricTable, other: MetricTable, metrics: Sequence[str], first: int, *, tolerance: float, name: str
) -> tuple[ResumedDifference, tuple[ReplicaSpread, ...]]:
    """How `other` differs from `whole` from the step `first` on. `name`: of the other run, in words."""
    last = int(whole.step.max(initial=first))
    pair = [steps_between(table, first, last) for table in (whole, other)]
    lacking = [metric for metric in metrics if metric not in other.columns]
    if lacking or not pair[0].step.size or not pair[1].step.size:
        what = lacking[0] if lacking else f"the same steps from step {first:,} on"
        return ResumedDifference(message=f"{name} did not log {what}", metric=(lacking or [""])[0], step=first), ()
    found = tuple(spreads(pair, metrics, StepChoice(), tolerance))
    beyond = [each for each in found if each.beyond is not None]
    mover = first_mover(beyond)
    if mover is not None:
        count = f" ({len(beyond) - 1} more metrics differ)" if len(beyond) > 1 else ""
        message = (
            f"{name} differs from the uninterrupted run from step {mover.beyond:,} on, first in {mover.name}, "
            f"by {mover.first_share:.2g} of the value{count}"
        )
        share = mover.share if math.isfinite(mover.share) else None
        return ResumedDifference(message=message, metric=mover.name, step=mover.beyond, share=share), found
    missing = next((each for each in found if each.missing), None)
    if missing is not None:
        message = f"{name} and the uninterrupted run did not log {missing.name} at the same steps"
        return ResumedDifference(message=message, metric=missing.name, step=first), found
    return ResumedDifference(), found
