"""The runs of a comparison, opened, and the signals that they have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.adapters.open import open_run, open_runs
from rldk.core.manifest import GitState, Manifest, read_manifest
from rldk.core.model import Check, Run
from rldk.core.table import MetricTable
from rldk.core.vocabulary import vocabulary
from rldk.engine.compare import align
from rldk.engine.compare.ranges import range_counts, range_edges, range_means, range_steps
from rldk.errors import MalformedInput, NoData, UnknownName, UsageError

LEAST_LOGGED = 20  # steps of a run below which there is nothing to put into ranges
MEETING = 0.8  # share of the steps at which the runs must meet; below it, ranges are compared
UNEVEN = 0.3  # share of unusual distances between steps from which a log has no regular interval
MOST_RANGES = 600
Axis = Literal["step", "tokens", "time"]
MACHINE = frozenset({"seconds", "GiB", "tokens/s", "1/s", "FLOP", "epochs"})  # units of what no seed decides
# How many tokens a step had is logged for the sake of speed; a clock says nothing about learning.
CLOCKS = frozenset(
    {"step", "env_steps", "update_count", "episode_count", "tokens_total", "tokens_step", "tokens_in", "tokens_out",
     "trainable_params"}
)  # fmt: skip


class Side(Struct, frozen=True, kw_only=True):
    """One run. `source`: how the user named it. `folder`: its directory, where it has one. `record`: what it says of
    itself."""

    source: str
    run: Run
    table: MetricTable
    record: Manifest
    folder: Path


class SharedSignal(Struct, frozen=True, kw_only=True):
    """A metric of several runs at their common steps. `values`: (runs, n). `interval`: the median distance of logged
    steps in each run. `last`: the last logged step of each run. `ranges`: the values are means over the ranges of steps
    that end at `step`, because the runs log at steps of their own; `interval` is then their width."""

    name: str
    step: NDArray[np.int64]
    values: NDArray[np.float64]
    interval: tuple[float, ...]
    last: tuple[int, ...]
    ranges: bool = False


def open_side(source: Any, name: str, field_map: Mapping[str, str] | None, axis: Axis) -> Side:
    """One run of the comparison. `name`: of a table in memory. Raises what `open_run` raises, and `NoData` where the
    run lacks the axis."""
    run = source if isinstance(source, Run) else open_run(source, field_map=field_map)
    return _side(run, source, name, axis)


def open_sides(sources: Any, field_map: Mapping[str, str] | None, axis: Axis) -> list[Side]:
    """The baselines: one source, or several; a directory may hold many runs."""
    if sources is None:
        return []
    many = [sources] if isinstance(sources, str | os.PathLike) or hasattr(sources, "columns") else list(sources)
    made = []
    for place, source in enumerate(many, 1):
        runs = [source] if isinstance(source, Run) else open_runs(source, field_map=field_map)
        for run in runs:
            origin = source if len(runs) == 1 else run.source
            made.append(_side(run, origin, f"baseline {place}", axis))
    return made


def chosen_signals(a: Side, b: Side, wanted: Sequence[str] | str | None) -> tuple[tuple[str, ...], tuple[Check, ...]]:
    """The metrics to compare, and the wanted ones that one of the runs lacks.

    Without a wish: every metric of the vocabulary that both have, except those of the machine, each of them once.
    Raises `UnknownName` for a name that neither run has, and `NoData` where nothing is left."""
    columns = [side.table.columns for side in (a, b)]
    if wanted is None:
        known = [n for n in columns[0] if n in columns[1] and vocabulary().canonical(n) and not _of_machine(n)]
        if not known:
            both = sorted(set(columns[0]) & set(columns[1]))
            hint = f"name them with signals: both have {', '.join(both[:8])}" if both else "are these two logs of runs?"
            raise NoData(f"{a.source} and {b.source} have no known metric in common", hint=hint)
        return _distinct(known, a, b), ()
    names = [part.strip() for part in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    chosen: list[str] = []
    lacking: list[Check] = []
    for name in dict.fromkeys(name for name in names if name):
        found = [_column(side, name) for side in (a, b)]
        if found == [None, None]:
            raise UnknownName("signal", name, sorted({*columns[0], *columns[1]}))
        if None in found:
            missing = (a, b)[found.index(None)]
            reason = f"needs {name} in {missing.source}"
            lacking.append(Check(code=name, name=name, status="skipped", reason=reason, needs=(name,)))
        elif found[0] is not None and found[0] not in chosen:
            chosen.append(found[0])
    if not names or not any(names):
        raise UsageError("no signal is named", hint="leave the list out to compare every metric that both runs have")
    if not chosen:
        raise NoData(f"nothing can be compared: {'; '.join(check.reason for check in lacking)}", hint="choose others")
    return tuple(chosen), tuple(lacking)


def shared_signal(sides: Sequence[Side], name: str, *, step_tolerance: int | None = None) -> SharedSignal:
    """The metric at the steps where every run has it. The run that logs most rarely gives the steps.

    `step_tolerance`: how far a partner may be away; by default less than half of the widest interval."""
    logged = [_steps(side.table, name) for side in sides]
    if step_tolerance is None and _at_own_steps(logged):
        return _in_ranges(sides, name, logged)
    interval = tuple(float(np.median(np.diff(step))) if step.size > 1 else 0.0 for step in logged)
    # runs may end at different steps: the density decides which one is sparse, not the number of its rows
    lead = max(range(len(sides)), key=lambda i: (interval[i], -i))
    order = [lead, *(i for i in range(len(sides)) if i != lead)]
    tolerance = int((interval[lead] - 1) // 2) if step_tolerance is None else step_tolerance
    aligned = align([sides[i].table for i in order], name, step_tolerance=max(tolerance, 0))
    there = aligned.present.all(axis=0)
    values = np.empty((len(sides), int(there.sum())))
    values[order] = aligned.values[:, there]
    last = tuple(int(step[-1]) if step.size else 0 for step in logged)
    return SharedSignal(name=name, step=aligned.step[there], values=values, interval=interval, last=last)


def _at_own_steps(logged: Sequence[NDArray[np.int64]]) -> bool:
    """Whether the runs log at steps of their own, as those do that log every few episodes: one of them has no regular
    interval, and of its steps that lie within all runs, a fifth or more are not exactly those of every other."""
    uneven = [step for step in logged if step.size >= LEAST_LOGGED and _unevenness(step) > UNEVEN]
    if not uneven or min(step.size for step in logged) < LEAST_LOGGED:
        return False
    first, last = _overlap(logged)
    inside = uneven[0][(uneven[0] >= first) & (uneven[0] <= last)]
    meeting = np.all([np.isin(inside, step) for step in logged], axis=0)
    return bool(inside.size) and float(meeting.mean()) < MEETING


def _unevenness(step: NDArray[np.int64]) -> float:
    """The share of the distances between logged steps that are not the usual one."""
    gaps = np.diff(step)
    return float(np.mean(gaps != np.median(gaps)))


def _in_ranges(sides: Sequence[Side], name: str, logged: Sequence[NDArray[np.int64]]) -> SharedSignal:
    """The means over ranges of steps that all runs have."""
    aligned = [align([side.table], name) for side in sides]
    edges = range_edges(logged, _overlap(logged), MOST_RANGES)
    values = np.array([range_means(one.step, one.values[0], edges) for one in aligned])
    there = np.array([range_counts(step, edges) > 0 for step in logged]).all(axis=0)
    last = tuple(int(step[-1]) for step in logged)
    interval = (float(edges[1] - edges[0]),) * len(sides)
    return SharedSignal(
        name=name, step=range_steps(edges)[there], values=values[:, there], interval=interval, last=last, ranges=True
    )


def _overlap(logged: Sequence[NDArray[np.int64]]) -> tuple[int, int]:
    return max(int(step[0]) for step in logged), min(int(step[-1]) for step in logged)


def _steps(table: MetricTable, name: str) -> NDArray[np.int64]:
    return align([table], name).step


def _side(run: Run, source: Any, name: str, axis: Axis) -> Side:
    named = str(source) if isinstance(source, str | os.PathLike) else name
    folder = Path(run.source) if isinstance(source, str | os.PathLike) else Path()
    folder = folder if folder.is_dir() else folder.parent
    try:
        record = read_manifest(folder) if named != name else None
    except MalformedInput:
        record = None
    if record is None:
        meta = run.meta
        git = GitState(sha=meta.git_sha) if meta.git_sha else None
        record = Manifest(
            config=meta.config, packages=meta.packages, seed=meta.seed, git=git, environment=meta.environment
        )
    return Side(source=named, run=run, table=_on_axis(run.metrics, axis, named), record=record, folder=folder)


def _on_axis(table: MetricTable, axis: Axis, source: str) -> MetricTable:
    """The table with another quantity in place of the step: tokens, or milliseconds since its first row."""
    match axis:
        case "step":
            return table
        case "tokens":
            position = _tokens(table)
        case "time":
            position = (table.time - np.nanmin(table.time)) * 1000 if np.isfinite(table.time).any() else None
    if position is None:
        raise NoData(f"{source} has no {axis} to compare by", hint="compare by step, or log it")
    there = np.isfinite(position)
    rows = np.flatnonzero(there)
    place = {int(old): new for new, old in enumerate(rows)}
    stated = {
        name: np.array([place[int(i)] for i in at if int(i) in place], dtype=np.int64)
        for name, at in table.stated_nan.items()
    }
    return MetricTable(
        step=np.rint(position[there]).astype(np.int64),
        columns={name: values[there] for name, values in table.columns.items()},
        phase=table.phase[there],
        segment=table.segment[there],
        time=table.time[there],
        stated_nan=stated,
    )


def _tokens(table: MetricTable) -> NDArray[np.float64] | None:
    if "tokens_total" in table.columns:
        return table.columns["tokens_total"]
    if "tokens_step" in table.columns:
        return np.cumsum(np.nan_to_num(table.columns["tokens_step"]))
    return None


def _distinct(names: Sequence[str], a: Side, b: Side) -> tuple[str, ...]:
    """The names, each metric once. A second name is left out: an alias, or the same numbers in both
    runs, such as the mean of the only reward function."""
    there = set(names)
    kept: dict[object, str] = {}
    for name in sorted(names, key=lambda one: "/" in one):  # a part of a metric after the metric itself
        canonical = vocabulary().canonical(name)
        if canonical != name and canonical in there:
            continue
        columns = [side.table.columns[name] for side in (a, b)]
        kept.setdefault(tuple(column.tobytes() for column in columns) if any(map(_moves, columns)) else name, name)
    return tuple(name for name in names if name in kept.values())


def _moves(column: NDArray[np.float64]) -> bool:
    finite = column[np.isfinite(column)]
    return bool(finite.size) and float(finite.min()) < float(finite.max())


def _column(side: Side, name: str) -> str | None:
    try:
        return vocabulary().locate(name, side.table.columns)
    except UnknownName:
        by_key = {key: metric for metric, key in side.run.meta.names.items()}
        return by_key.get(name) if by_key.get(name) in side.table.columns else None


def _of_machine(name: str) -> bool:
    return name in CLOCKS or str(vocabulary().metric(name).unit) in MACHINE
