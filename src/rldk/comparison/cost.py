"""What the runs of a group took: steps, tokens, time and operations, as far as their logs say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np

from rldk.comparison.facts import GroupCost
from rldk.core.model import Check, Run
from rldk.core.table import MetricTable


def _last(table: MetricTable, name: str) -> float:
    """The largest finite value of a counter; NaN without one."""
    values = table.columns.get(name)
    finite = values[np.isfinite(values)] if values is not None else np.zeros(0)
    return float(finite.max()) if finite.size else math.nan


def _total(table: MetricTable, name: str) -> float:
    values = table.columns.get(name)
    finite = values[np.isfinite(values)] if values is not None else np.zeros(0)
    return float(finite.sum()) if finite.size else math.nan


def _steps(run: Run) -> float:
    return float(run.metrics.step.max()) if len(run.metrics) else math.nan


def _env_steps(run: Run) -> float:
    return _last(run.metrics, "env_steps")


def _tokens(run: Run) -> float:
    counted = _last(run.metrics, "tokens_total")
    return counted if math.isfinite(counted) else _total(run.metrics, "tokens_step")


def _seconds(run: Run) -> float:
    """From the first row to the last; of a run that was continued, the pause counts, too."""
    times = run.metrics.time[np.isfinite(run.metrics.time)]
    clock = float(times.max() - times.min()) if times.size > 1 else math.nan
    return clock if clock > 0 else _last(run.metrics, "wall_time")


def _operations(run: Run) -> float:
    counted = _last(run.metrics, "flos_total")
    return counted if counted > 0 else math.nan  # TRL logs 0 where it does not count


# what is asked -> how a run answers, and what it must log for that
COSTS: Mapping[str, tuple[Callable[[Run], float], tuple[str, ...]]] = {
    "steps": (_steps, ("step",)),
    "env_steps": (_env_steps, ("env_steps",)),
    "tokens": (_tokens, ("tokens_total", "tokens_step")),
    "seconds": (_seconds, ("wall_time",)),
    "operations": (_operations, ("flos_total",)),
}
EXPECTED = ("steps", "tokens", "seconds")


def group_costs(grouped: Mapping[str, Sequence[Run]]) -> tuple[tuple[GroupCost, ...], tuple[Check, ...]]:
    """The median over the runs of each group, and what could not be said because a run does not log it.

    A cost is given for every group or for none: otherwise the groups could not be compared. What few trainers log is
    not missed."""
    runs = [run for members in grouped.values() for run in members]
    known = [name for name, (ask, _) in COSTS.items() if all(math.isfinite(ask(run)) for run in runs)]
    made = tuple(
        GroupCost(group=group, **{name: float(median(COSTS[name][0](run) for run in members)) for name in known})
        for group, members in grouped.items()
    )
    lacking = tuple(
        Check(
            code=f"cost-{name}",
            name=f"cost in {name.replace('_', ' ')}",
            status="skipped",
            reason=f"needs {' or '.join(needs)} in every run",
            needs=needs,
        )
        for name, (_, needs) in COSTS.items()
        if name in EXPECTED and name not in known
    )
    return made, lacking
