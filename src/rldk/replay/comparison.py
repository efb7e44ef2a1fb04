"""A run and its replay, metric by metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from rldk.core.model import Run
from rldk.core.table import MetricTable
from rldk.engine.compare import align
from rldk.engine.compare.classes import ReplicaClass, SeedControl, classify
from rldk.engine.compare.replicas import ReplicaSpread, StepChoice, spreads
from rldk.engine.replicas.reading import metrics_to_compare


class ReplayComparison(Struct, frozen=True, kw_only=True):
    """`metrics`: the columns that were compared. `lacking`: those that the replay does not have. `found`: how far both
    are apart. `original`, `replay`: "step" and each metric as a list; None where a side has no value. `last`: the last
    step that was compared, None without a limit."""

    metrics: tuple[str, ...]
    lacking: tuple[str, ...]
    found: tuple[ReplicaSpread, ...]
    classification: ReplicaClass
    original: dict[str, list[Any]]
    replay: dict[str, list[Any]]
    last: int | None

    @property
    def missing(self) -> tuple[str, ...]:
        """Metrics that have no values on one side."""
        return (*self.lacking, *dict.fromkeys(each.name for each in self.found if each.missing))

    @property
    def steps(self) -> int:
        """How many steps were compared of the metric that has most."""
        return max((each.steps for each in self.found), default=0)


def compare_replay(
    original: Run, replay: Run, wanted: Sequence[str] | None, *, tolerance: float, steps: int | None
) -> ReplayComparison:
    """How the replay differs from the original. `wanted`: metrics by any of their names; None for all but times.
    `steps`: only the first so many steps of the original.

    Raises `UnknownName` for a metric that the original does not have, `InputError` where it has none."""
    metrics = metrics_to_compare(original, wanted)
    logged = np.unique(original.metrics.step)
    last = int(logged[steps - 1]) if steps is not None and steps < logged.size else None
    first, second = (run.metrics if last is None else until(run.metrics, last) for run in (original, replay))
    lacking = tuple(name for name in metrics if name not in second.columns)
    found = tuple(spreads([first, second], metrics, StepChoice(), tolerance))
    whole = not lacking and not any(each.missing for each in found)
    return ReplayComparison(
        metrics=metrics,
        lacking=lacking,
        found=found,
        classification=classify(found, tolerance, SeedControl(), whole=whole),
        original=_columns(first, metrics),
        replay=_columns(second, metrics),
        last=last,
    )


def until(table: MetricTable, last: int) -> MetricTable:
    """The rows of a table up to and including the step `last`."""
    kept = np.flatnonzero(table.step <= last)
    return MetricTable(
        step=table.step[kept],
        columns={name: column[kept] for name, column in table.columns.items()},
        phase=table.phase[kept],
        segment=table.segment[kept],
        time=table.time[kept],
        stated_nan={name: np.flatnonzero(np.isin(kept, rows)) for name, rows in table.stated_nan.items()},
    )


def _columns(table: MetricTable, metrics: Sequence[str]) -> dict[str, list[Any]]:
    """The training values of the metrics at each step of the table, the newest of each step."""
    made = {name: align([table], name) for name in metrics if name in table.columns}
    steps = sorted({int(step) for one in made.values() for step in one.step})
    columns: dict[str, list[Any]] = {"step": steps}
    for name, one in made.items():
        known = dict(zip(one.step.tolist(), one.values[0].tolist(), strict=True))
        columns[name] = [value if math.isfinite(value := known.get(step, math.nan)) else None for step in steps]
    return columns
