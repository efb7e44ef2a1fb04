"""Turns a log in the source's own names into a Run with canonical names."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.adapters.layout import run_name
from rldk.adapters.log import Log, Origin
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.naming.keys import Hints, Naming, clock_label, decide_naming
from rldk.core.aliases import Match
from rldk.core.columns import columns_of, stored_columns
from rldk.core.model import Run, RunMeta
from rldk.core.secrets.redact import redact, redactions
from rldk.core.table import PHASES, MetricTable
from rldk.core.text import legible
from rldk.core.vocabulary import Vocabulary, vocabulary
from rldk.errors import UnknownName

_META = frozenset(RunMeta.__struct_fields__) - {"format", "names", "estimators", "config", "notes", "algorithm"}
_NOT_METRICS = frozenset({"phase", "run_id", "seed", "git_sha", "step", "wall_time"})


class _Columns(Struct):
    """The canonical columns of a Run while they are collected."""

    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    stated: dict[str, NDArray[np.int64]] = field(default_factory=dict)


def to_run(log: Log, origin: Origin, *, field_map: Mapping[str, str] | None = None, propose: bool = False) -> Run:
    """The run of a log: canonical columns first, then the source's own, with the key that each metric came from.

    `field_map` pairs the user's keys with metrics, in either direction; it wins over the vocabulary. Columns that need
    no change of sign or scale and no split share memory with those of the log. `propose`: see `decide_naming`."""
    words = vocabulary()
    opening = opening_of(log.table)
    hints = Hints(framework=log.framework, dialect=log.dialect, algorithm=log.algorithm, field_map=field_map)
    naming = decide_naming(opening, hints, propose=propose)
    for keys, evaluation in _arrivals(log.table, len(opening.rows)):
        naming.meet(keys, evaluation=evaluation)
    table = _clocks(log.table, naming)
    columns = _canonical(table, naming)
    _sums(columns, naming)
    _split_eval(columns, table, naming)
    made = _table(table, columns, words)
    run = Run(
        id=legible(origin.run or run_name(origin.files[0] if origin.files else origin.source)),
        source=origin.source,
        metrics=made,
        samples=log.samples,
        sample_reader=log.sample_reader,
        meta=_meta(log, origin, naming, words),
        lines=log.lines,
        rejected_count=log.rejected_count,
        rejected=log.rejected,
    )
    if not naming.guess:
        return run
    option = f"--field-map {shlex.quote(json.dumps(naming.guess))}"
    note = f"no column has a known name; rldk guessed some of them. If the guesses are right, pass {option}"
    return replace(run, meta=replace(run.meta, notes=(*run.meta.notes, note)))


def _arrivals(table: MetricTable, opening: int) -> Iterator[tuple[list[str], bool]]:
    """The rows after the opening that bring a key for the first time, or for the first time in an evaluation, as
    (keys, evaluation)."""
    rows: dict[int, list[str]] = {}
    evaluation = table.phase == PHASES.index("eval")
    for key, column in table.columns.items():
        present = ~np.isnan(column)
        present[table.stated_nan.get(key, [])] = True
        for told in (present, present & evaluation):
            first = int(told.argmax()) if told.any() else -1
            if first >= opening:
                rows.setdefault(first, []).append(key)
    for row in sorted(rows):
        yield rows[row], bool(evaluation[row])


def _clocks(table: MetricTable, naming: Naming) -> MetricTable:
    """The table with the step and the time from the columns that the user named for them."""
    if "step" in naming.clocks:
        step = table.columns[naming.clocks["step"]]
        whole = np.where(np.abs(step) < 2.0**62, step, table.step.astype(np.float64)).astype(np.int64)
        back = np.diff(whole, prepend=whole[:1]) < 0
        table = replace(table, step=whole, segment=np.cumsum(back).astype(np.int32))
    if "wall_time" in naming.clocks:
        told = table.columns[naming.clocks["wall_time"]]
        table = replace(table, time=np.where(np.isnan(table.time), told, table.time))
    return table


def _canonical(table: MetricTable, naming: Naming) -> _Columns:
    made = _Columns()
    for key, matches in naming.routes.items():
        for match in matches:
            made.values[match.canonical] = _column(table.columns[key], match)
            if key in table.stated_nan:
                made.stated[match.canonical] = table.stated_nan[key]
    return made


def _column(column: NDArray[np.float64], match: Match) -> NDArray[np.float64]:
    if match.missing is not None:
        column = np.where(column == match.missing, math.nan, column)
    return match.apply(column) if match.transform else column


def _sums(columns: _Columns, naming: Naming) -> None:
    for name, parts in naming.sums.items():
        columns.values[name] = np.sum([columns.values[part] for part in parts], axis=0)


def _split_eval(columns: _Columns, table: MetricTable, naming: Naming) -> None:
    """Moves values that evaluation rows give under a training name to the evaluation's own name."""
    rows = table.phase == PHASES.index("eval")
    for name, other in naming.staged.items():
        column, stated = columns.values[name], columns.stated.get(name, np.empty(0, dtype=np.int64))
        if other is not None:
            columns.values[other] = np.where(rows, column, math.nan)
            _put(columns.stated, other, stated[rows[stated]])
        columns.values[name] = np.where(rows, math.nan, column)
        _put(columns.stated, name, stated[~rows[stated]])


def _put(stated: dict[str, NDArray[np.int64]], name: str, rows: NDArray[np.int64]) -> None:
    stated.pop(name, None)
    if rows.size:
        stated[name] = rows


def _table(table: MetricTable, columns: _Columns, words: Vocabulary) -> MetricTable:
    """The canonical columns in the order of the vocabulary, then the source's own columns."""
    order = {name: i for i, name in enumerate(words.names())}
    first = sorted(
        columns.values, key=lambda n: (order.get(n.removeprefix("eval_"), len(order)), n.startswith("eval_"))
    )
    values = {name: columns.values[name] for name in first if not _empty(name, columns, table)}
    stored = stored_columns(table.columns)
    return MetricTable(
        step=table.step,
        columns=columns_of({**values, **{k: c for k, c in stored.items() if k not in values}}, len(table)),
        phase=table.phase,
        segment=table.segment,
        time=table.time,
        stated_nan={n: columns.stated[n] for n in values if n in columns.stated}
        | {k: r for k, r in table.stated_nan.items() if k not in values},
    )


def _empty(name: str, columns: _Columns, table: MetricTable) -> bool:
    """Whether only evaluation rows had this training name; then it is not a metric of this run."""
    moved = name not in table.columns and name not in columns.stated
    return moved and len(table) > 0 and bool(np.isnan(columns.values[name]).all())


def _meta(log: Log, origin: Origin, naming: Naming, words: Vocabulary) -> RunMeta:
    known: dict[str, Any] = {k: v for k, v in log.meta.items() if k in _META}
    notes = (*log.notes, *([] if naming.guess else _map_notes(naming, words, clock=log.meta.get("clock", ""))))
    if log.precision is not None:
        notes = (*notes, f"the format keeps {log.precision} significant digits")
    config = redact(log.config)
    if hidden := redactions(config):
        notes = (*notes, f"{hidden} secret{'s' * (hidden > 1)} removed from the configuration")
    defaults: dict[str, Any] = {
        "framework": naming.framework,
        "total_steps": log.total_steps,
        "seed": log.config["seed"] if type(log.config.get("seed")) is int else None,
        "files": origin.files,
    }
    known["clock"] = clock_label(known.get("clock", ""))
    return RunMeta(
        **{**defaults, **{k: v for k, v in known.items() if v is not None}},
        format=origin.name,
        algorithm=naming.algorithm,
        config=config,
        names=naming.names,
        estimators=naming.estimators,
        notes=notes,
    )


def _map_notes(naming: Naming, words: Vocabulary, *, clock: str) -> list[str]:
    """Notes on entries of the user's map that had no effect, or probably not the intended one. `clock`: the column of
    the step."""
    notes = [f"field map: there is no column {key!r}" for key in naming.unused_entries() if key != clock]
    for name in naming.user_metrics().values():
        if words.canonical(name) is None and name not in _NOT_METRICS:
            nearest = UnknownName("metric", name, words.names())
            notes.append(f"field map: {nearest.message}; {nearest.hint}")
    return notes
