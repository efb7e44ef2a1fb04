"""Runs that log at steps of their own, such as every four episodes, put into common ranges of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Steps = NDArray[np.int64]
USUAL_GAP = 0.9  # quantile of the distances between logged steps: a range of this width holds a value nearly always


def range_edges(steps: Sequence[Steps], span: tuple[int, int], most: int) -> Array:
    """The ends of ranges of one width over the steps `span` (ranges + 1,), at most `most` ranges.

    `steps`: the logged steps of each run, rising. A range is wide enough to hold a value of the run that logs most
    rarely. The first end lies just below the first step, so that a range holds the steps after its first end, up to and
    with its second one."""
    first, last = span
    widest = max(
        (float(np.quantile(np.diff(step), USUAL_GAP)) if step.size > 1 else math.inf for step in steps), default=1
    )
    count = max(1, min(most, math.floor((last - first + 1) / widest) if widest else 1))
    return np.linspace(first - 1, last, count + 1)


def range_means(step: Steps, values: Array, edges: Array) -> Array:
    """The mean of the values (n,) in each range (ranges,), NaN where there is none. A value that is not finite makes
    that of its range so."""
    places = np.searchsorted(edges, step, side="left") - 1
    inside = (places >= 0) & (places < edges.size - 1)
    counts = np.bincount(places[inside], minlength=edges.size - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.bincount(places[inside], weights=values[inside], minlength=edges.size - 1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)


def range_counts(step: Steps, edges: Array) -> NDArray[np.int64]:
    """How many of the steps (n,) lie in each range (ranges,)."""
    places = np.searchsorted(edges, step, side="left") - 1
    inside = (places >= 0) & (places < edges.size - 1)
    return np.bincount(places[inside], minlength=edges.size - 1)


def range_steps(edges: Array) -> Steps:
    """The last step of each range (ranges,)."""
    return np.ceil(edges[1:] - 1e-9).astype(np.int64)
