"""Compares several runs: aligns their metrics by step, and says from where on and by how much they differ.

The first table is the baseline; each other one is compared with it. Nothing is interpolated: a value without a partner
enters no figure, but is counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.difference import MetricDifference
from rldk.core.stats.paired import holm, signed_rank_p
from rldk.core.stats.resampling import batch_means, bootstrap_interval
from rldk.core.table import PHASES, MetricTable, Phase
from rldk.errors import UsageError

# Neighbouring steps depend on each other; the means of batches of them less so. Of 2,000 pairs of 400 steps that do not
# differ, a test of single steps at 5 % calls this share different, the test of batches this one, and so often holds
# the 95 % interval the truth: without autocorrelation 6 %, 5 % and 92 %; at 0.8 51 %, 7 % and 89 %; at 0.9 65 %, 10 %
# and 86 %.
BATCHES = 20
LEAST = 40  # common steps below which nothing is tested: two in each batch


class AlignedMetric(Struct, frozen=True, kw_only=True):
    """One metric of several tables at the steps of the first.

    `step`: (n,), rising. `values`: (tables, n), NaN where a table has none or says NaN. `present`: (tables, n), whether
    it has one. `unmatched`: how many values of each table have no place among the steps of the first."""

    metric: str
    step: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    unmatched: tuple[int, ...]


class TableComparison(Struct, frozen=True, kw_only=True):
    """`differences`: by other table, then by metric. `lacking`: for each other table the metrics that only the baseline
    has, and those that only the other has."""

    differences: tuple[MetricDifference, ...]
    lacking: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def align(
    tables: Sequence[MetricTable], metric: str, *, phase: Phase = "train", step_tolerance: int = 0
) -> AlignedMetric:
    """A metric of the tables at the steps of the first one.

    A value of another table is put at the nearest of these steps, at most `step_tolerance` away (0: the same step); of
    two that are as near, at the earlier. Each value has one place, and of two that want the same, the nearer has it.
    Where a run was restarted, the newest value of a step counts. Raises `UsageError` without a table."""
    if not tables:
        raise UsageError("there is nothing to align", hint="give at least one table")
    if step_tolerance < 0:
        raise UsageError(f"step_tolerance is {step_tolerance}", hint="it must be 0 or more")
    (step, base), *others = [_points(table, metric, phase) for table in tables]
    values = np.full((len(tables), step.size), math.nan)
    present = np.zeros((len(tables), step.size), dtype=np.bool_)
    values[0], present[0] = base, True
    unmatched = [0]
    for number, (their_step, theirs) in enumerate(others, 1):
        places, rows = _matched(step, their_step, step_tolerance)
        values[number, places], present[number, places] = theirs[rows], True
        unmatched.append(int(their_step.size - rows.size))
    return AlignedMetric(metric=metric, step=step, values=values, present=present, unmatched=tuple(unmatched))


def compare(
    tables: Sequence[MetricTable],
    metrics: Sequence[str] | None = None,
    *,
    phase: Phase = "train",
    step_tolerance: int = 0,
    tolerance: float = 0.0,
    seed: int = 0,
) -> TableComparison:
    """Compares each table with the first, metric by metric.

    `metrics`: default all that the two have in common. `step_tolerance`: as in `align`. `tolerance`: two values are
    equal when they differ by at most this share of the larger one; 0: the very same number. NaN equals NaN.

    The test is Wilcoxon's on the means of 20 batches of neighbouring steps, since single steps depend on each other;
    `adjusted_p` is Holm's over all tests made here. It asks whether these two curves differ, not whether their
    configurations do: that takes several seeds of each. Raises `UsageError` without a second table."""
    if len(tables) < 2:
        raise UsageError(f"{len(tables)} tables cannot be compared", hint="give two or more")
    if not tolerance >= 0:
        raise UsageError(f"tolerance is {tolerance}", hint="it must be 0 or more")
    first = tables[0]
    found: list[MetricDifference] = []
    lacking = []
    for number, other in enumerate(tables[1:], 1):
        asked = list(metrics) if metrics is not None else sorted({*first.columns, *other.columns})
        lacking.append(
            (
                tuple(name for name in asked if name in first.columns and name not in other.columns),
                tuple(name for name in asked if name in other.columns and name not in first.columns),
            )
        )
        for name in asked:
            if name in first.columns and name in other.columns:
                aligned = align((first, other), name, phase=phase, step_tolerance=step_tolerance)
                found.append(_difference(aligned, number, tolerance, seed))
    adjusted = holm([each.p for each in found])
    return TableComparison(
        differences=tuple(replace(each, adjusted_p=p) for each, p in zip(found, adjusted, strict=True)),
        lacking=tuple(lacking),
    )


def _points(table: MetricTable, metric: str, phase: Phase) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The steps at which a table has the metric, in rising order and each once, and the newest value at each."""
    column = table.columns.get(metric)
    if column is None:
        return np.empty(0, dtype=np.int64), np.empty(0)
    there = ~np.isnan(column)
    there[table.stated_nan.get(metric, np.empty(0, dtype=np.int64))] = True
    there &= table.phase == PHASES.index(phase)
    step, value = table.step[there][::-1], column[there][::-1]
    unique, newest = np.unique(step, return_index=True)  # the first of each, which is the last in the log
    return unique, value[newest]


def _matched(
    step: NDArray[np.int64], theirs: NDArray[np.int64], tolerance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a place in `step` and a row of `theirs`; each place and each row occurs at most once."""
    if not step.size or not theirs.size:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    after = np.searchsorted(step, theirs).clip(0, step.size - 1)
    before = (after - 1).clip(0)
    place = np.where(np.abs(theirs - step[before]) <= np.abs(step[after] - theirs), before, after)
    distance = np.abs(theirs - step[place])
    order = np.lexsort((distance, place))
    order = order[distance[order] <= tolerance]
    places, first = np.unique(place[order], return_index=True)
    return places, order[first]


def _difference(aligned: AlignedMetric, other: int, tolerance: float, seed: int) -> MetricDifference:
    both = aligned.present.all(axis=0)
    first, second = aligned.values[:, both]
    apart = ~_equal(first, second, tolerance)
    with np.errstate(invalid="ignore", over="ignore"):
        off = second - first
    off = off[np.isfinite(off)]
    made = MetricDifference(
        metric=aligned.metric,
        other=other,
        n=int(both.sum()),
        alone=(int((~both).sum()), aligned.unmatched[1]),
        diverges_at=int(aligned.step[both][apart][0]) if apart.any() else None,
        median=float(np.median(off)) if off.size else math.nan,
    )
    if off.size < LEAST:
        return made
    batches = batch_means(off, BATCHES)
    low, high = bootstrap_interval(batches, seed=seed)
    return replace(made, low=low, high=high, p=signed_rank_p(batches))


def _equal(first: NDArray[np.float64], second: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(second - first) <= tolerance * np.maximum(np.abs(first), np.abs(second))
    finite = np.isfinite(first) & np.isfinite(second)
    same: NDArray[np.bool_] = (first == second) | (np.isnan(first) & np.isnan(second)) | (near & finite)
    return same
