"""From a log in the source's own names to a Run in canonical ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.adapters.base import BaseAdapter, Log
from rldk.adapters.layout import run_name
from rldk.core.model import Run, RunMeta
from rldk.core.table import PHASES, MetricTable
from rldk.core.vocabulary import Match, Vocabulary, vocabulary
from rldk.errors import UnknownName

# What the metrics themselves say of the algorithm: the first row of which all of `has` and none of `lacks` is there.
_ALGORITHMS: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = (
    ("ppo", frozenset({"value_loss", "clip_frac"}), frozenset()),
    ("ppo", frozenset({"value_explained_variance", "kl_policy_update"}), frozenset()),
    ("grpo", frozenset({"zero_std_group_frac"}), frozenset({"value_loss"})),
    ("kto", frozenset({"pref_margin", "logp_chosen", "kl"}), frozenset({"pref_accuracy"})),
    ("dpo", frozenset({"pref_margin", "logp_chosen"}), frozenset()),
    ("reward_model", frozenset({"pref_accuracy", "loss"}), frozenset({"logp_chosen", "policy_loss"})),
    ("dqn", frozenset({"exploration_rate", "loss"}), frozenset({"policy_loss"})),
    ("sac", frozenset({"entropy_coef", "policy_loss", "value_loss"}), frozenset({"value_explained_variance"})),
    ("a2c", frozenset({"policy_loss", "value_loss", "value_explained_variance"}), frozenset({"clip_frac", "kl"})),
    ("sft", frozenset({"token_accuracy", "loss"}), frozenset({"reward_mean", "pref_margin"})),
)
_META = frozenset(f.name for f in fields(RunMeta)) - {"format", "names", "estimators", "config", "notes", "algorithm"}


@dataclass
class _Columns:
    """Canonical columns on their way into a Run, and where each came from."""

    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    stated: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    estimators: dict[str, str] = field(default_factory=dict)


def to_run(log: Log, *, adapter: BaseAdapter, field_map: Mapping[str, str] | None = None) -> Run:
    """The run of a log: canonical columns in front, the source's own behind them, and how the ones came of the others.

    `field_map` pairs the user's keys with metrics, in either direction; it wins over the vocabulary. Columns that need
    no sign, scale or split share memory with the log's. Of several keys for one metric the first in metrics.yaml wins
    that covers at least half as many rows as the best one; rows are never mixed."""
    table = log.table
    keys = frozenset(table.columns)
    words = vocabulary()
    user = _oriented(field_map or {}, keys, words)
    table = _clocks(table, user)
    dialect = log.dialect if log.dialect in words.dialects else None
    columns = _canonical(table, _candidates(table, words, dialect, user))
    _sums(columns, words)
    _split_eval(columns, table, words)
    guessed = (dialect,) if dialect else words.guess(keys)
    told = words.dialects[dialect].framework if dialect else log.framework
    framework = told or log.framework or _only(words.dialects[d].framework for d in guessed)
    found = log.algorithm or _only(words.dialects[d].algorithm for d in guessed) or infer_algorithm(columns.values)
    return Run(
        id=str(adapter.options.get("run") or run_name(adapter.files[0].path if adapter.files else adapter.source)),
        source=adapter.source,
        metrics=_table(table, columns, words),
        samples=log.samples,
        meta=_meta(
            replace(log, notes=(*log.notes, *_map_notes(user, keys, words))),
            adapter,
            columns,
            framework=framework,
            algorithm=found,
        ),
        lines=log.lines,
        rejected_count=log.rejected_count,
        rejected=log.rejected,
    )


def infer_algorithm(metrics: Iterable[str]) -> str | None:
    """The algorithm that logs these canonical metrics, None when they could be of several."""
    present = frozenset(metrics)
    return next((name for name, has, lacks in _ALGORITHMS if has <= present and not lacks & present), None)


def _only(values: Iterable[str | None]) -> str | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _oriented(field_map: Mapping[str, str], keys: frozenset[str], words: Vocabulary) -> dict[str, str]:
    """The map as {the source's key: canonical name}; people write it in both directions."""
    oriented = {}
    for left, right in field_map.items():
        swap = left not in keys and right in keys
        key, name = (right, left) if swap else (left, right)
        oriented[key] = words.canonical(name) or name
    return oriented


def _map_notes(user: Mapping[str, str], keys: frozenset[str], words: Vocabulary) -> list[str]:
    """What in the user's map had no effect, or not the one that was likely meant."""
    notes = [f"field map: there is no column {key!r}" for key in user if key not in keys]
    for name in user.values():
        if words.canonical(name) is None and name not in {"phase", "run_id", "seed", "git_sha"}:
            nearest = UnknownName("metric", name, words.names())
            notes.append(f"field map: {nearest.message}; {nearest.hint}")
    return notes


def _clocks(table: MetricTable, user: Mapping[str, str]) -> MetricTable:
    """The table with the step and the time taken from the columns that the user named for them."""
    named = {name: table.columns[key] for key, name in user.items() if key in table.columns}
    if "step" in named:
        step = named["step"]
        whole = np.where(np.abs(step) < 2.0**62, step, table.step.astype(np.float64)).astype(np.int64)
        back = np.diff(whole, prepend=whole[:1]) < 0
        table = replace(table, step=whole, segment=np.cumsum(back).astype(np.int32))
    if "wall_time" in named and np.isnan(table.time).all():
        table = replace(table, time=named["wall_time"])
    return table


def _candidates(
    table: MetricTable, words: Vocabulary, dialect: str | None, user: Mapping[str, str]
) -> dict[str, list[tuple[str, Match]]]:
    """{canonical name: [(key, match)]}, the preferred key first."""
    keys = frozenset(table.columns)
    found: dict[str, list[tuple[str, Match]]] = {}
    for key in table.columns:
        if key in user:
            known = next((m for m in words.matches(key, dialect, keys) if m.canonical == user[key]), None)
            found.setdefault(user[key], []).append((key, replace(known or Match(canonical=user[key]), rank=-1)))
            continue
        for match in words.matches(key, dialect, keys):
            found.setdefault(match.canonical, []).append((key, match))
    for pairs in found.values():
        pairs.sort(key=lambda pair: pair[1].rank)
    found.pop("step", None)
    return found


def _canonical(table: MetricTable, candidates: Mapping[str, list[tuple[str, Match]]]) -> _Columns:
    made = _Columns()
    for name, pairs in candidates.items():
        cover = {key: _coverage(table, key) for key, _ in pairs}
        enough = max(cover.values()) / 2
        key, match = next(p for p in pairs if p[1].rank < 0 or cover[p[0]] >= enough)
        column, stated = table.columns[key], table.stated_nan.get(key)
        if match.missing is not None:
            column = np.where(column == match.missing, math.nan, column)
        made.values[name] = match.apply(column) if match.transform else column
        made.names[name] = key
        if match.estimator:
            made.estimators[name] = match.estimator
        if stated is not None:
            made.stated[name] = stated
    return made


def _coverage(table: MetricTable, key: str) -> int:
    present = int(np.count_nonzero(~np.isnan(table.columns[key])))
    return present + len(table.stated_nan.get(key, ()))


def _sums(columns: _Columns, words: Vocabulary) -> None:
    """Adds the metrics that are exactly the sum of others, where they are not logged themselves."""
    for name, metric in words.metrics.items():
        if metric.sum_of and name not in columns.values and all(p in columns.values for p in metric.sum_of):
            columns.values[name] = np.sum([columns.values[p] for p in metric.sum_of], axis=0)
            columns.names[name] = " + ".join(columns.names[p] for p in metric.sum_of)


def _split_eval(columns: _Columns, table: MetricTable, words: Vocabulary) -> None:
    """Moves what evaluation rows say under a training name to the evaluation's own name; clocks stay."""
    rows = table.phase == PHASES.index("eval")
    if not rows.any():
        return
    for name in [n for n in columns.values if not n.startswith(("eval_", "test_"))]:
        column, stated = columns.values[name], columns.stated.get(name, np.empty(0, dtype=np.int64))
        told = rows & ~np.isnan(column)
        told[stated[rows[stated]]] = True
        known = words.canonical(name)
        if not told.any() or (known and words.metric(known).direction == "counter"):
            continue
        other = words.staged(name, "eval")
        if other not in columns.values:
            columns.values[other] = np.where(rows, column, math.nan)
            columns.names[other] = columns.names[name]
            _put(columns.stated, other, stated[rows[stated]])
        if name in columns.estimators:
            columns.estimators.setdefault(other, columns.estimators[name])
        columns.values[name] = np.where(rows, math.nan, column)
        _put(columns.stated, name, stated[~rows[stated]])


def _put(stated: dict[str, NDArray[np.int64]], name: str, rows: NDArray[np.int64]) -> None:
    stated.pop(name, None)
    if rows.size:
        stated[name] = rows


def _table(table: MetricTable, columns: _Columns, words: Vocabulary) -> MetricTable:
    """Canonical columns in the order of the vocabulary, then the source's own."""
    order = {name: i for i, name in enumerate(words.names())}
    first = sorted(
        columns.values, key=lambda n: (order.get(n.removeprefix("eval_"), len(order)), n.startswith("eval_"))
    )
    values = {name: columns.values[name] for name in first if not _empty(name, columns, table)}
    return MetricTable(
        step=table.step,
        columns=values | {k: c for k, c in table.columns.items() if k not in values},
        phase=table.phase,
        segment=table.segment,
        time=table.time,
        stated_nan={n: columns.stated[n] for n in values if n in columns.stated}
        | {k: r for k, r in table.stated_nan.items() if k not in values},
    )


def _empty(name: str, columns: _Columns, table: MetricTable) -> bool:
    """A training name under which only evaluation rows spoke is no metric of this run."""
    moved = name not in table.columns and name not in columns.stated
    return moved and len(table) > 0 and bool(np.isnan(columns.values[name]).all())


def _meta(
    log: Log, adapter: BaseAdapter, columns: _Columns, *, framework: str | None, algorithm: str | None
) -> RunMeta:
    known: dict[str, Any] = {k: v for k, v in log.meta.items() if k in _META}
    notes = log.notes
    if log.precision is not None:
        notes = (*notes, f"the format keeps {log.precision} significant digits")
    defaults: dict[str, Any] = {
        "framework": framework,
        "total_steps": log.total_steps,
        "seed": log.config["seed"] if type(log.config.get("seed")) is int else None,
        "files": tuple(str(f.path) for f in adapter.files),
    }
    return RunMeta(
        **{**defaults, **{k: v for k, v in known.items() if v is not None}},
        format=adapter.name,
        algorithm=algorithm,
        config=log.config,
        names=columns.names,
        estimators=columns.estimators,
        notes=notes,
    )
