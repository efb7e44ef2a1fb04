"""Learning curves of groups of seeds: the middle of the runs at each step, with a band."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.comparison.facts import GroupCurve
from rldk.core.model import Run
from rldk.core.stats.aggregate import interquartile_band
from rldk.engine.compare import align
from rldk.engine.compare.ranges import range_edges, range_means, range_steps

Array = NDArray[np.float64]
BINS = 80  # points of a curve, where the runs log as often as that


def logged_curve(run: Run, metric: str) -> tuple[NDArray[np.int64], Array]:
    """The steps at which the run has a finite value of the metric, and the values; both (n,)."""
    aligned = align([run.metrics], metric)
    finite = np.isfinite(aligned.values[0])
    return aligned.step[finite], aligned.values[0][finite]


def group_curve(group: str, metric: str, members: Sequence[Run], span: tuple[int, int]) -> GroupCurve | None:
    """The interquartile mean over the runs of a group, with its pointwise 95 % band; None where no step range is common
    to all of them.

    The steps of `span` are cut into ranges of one width, wide enough that each holds a value of the run that logs most
    rarely. A run counts in a range with the mean of its values there. Nothing is interpolated: a range in which a run
    has no value is left out, as is what lies beyond the end of the shortest run."""
    logged = [curve for run in members if (curve := logged_curve(run, metric))[0].size]
    if not logged:
        return None
    edges = range_edges([step for step, _ in logged], span, BINS)
    values = np.array([range_means(step, own, edges) for step, own in logged])
    whole = np.flatnonzero(np.isfinite(values).all(axis=0))
    if not whole.size:
        return None
    middle, low, high = interquartile_band(values[:, whole], seed=0)
    return GroupCurve(
        group=group,
        metric=metric,
        runs=len(logged),
        step=tuple(range_steps(edges)[whole].tolist()),
        middle=_shown(middle),
        low=_shown(low),
        high=_shown(high),
    )


def common_span(runs: Sequence[Run], metric: str) -> tuple[int, int]:
    """The first and the last step at which any of the runs has the metric; (0, 0) where none has."""
    steps = [step for run in runs if (step := logged_curve(run, metric)[0]).size]
    return (min(int(s[0]) for s in steps), max(int(s[-1]) for s in steps)) if steps else (0, 0)


def _shown(values: Array) -> tuple[float | None, ...]:
    return tuple(float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist())
