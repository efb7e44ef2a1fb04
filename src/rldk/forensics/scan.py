"""Scans a whole run at once: events from anywhere, or any log that rldk opens, through the engine of `rldk doctor`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.adapters.live.reader import LiveReader, ReadOptions
from rldk.adapters.naming.keys import PRESETS
from rldk.adapters.open import open_runs
from rldk.core.codec import to_builtins
from rldk.core.glossary import PLACEHOLDER
from rldk.core.model import Event, Report, Run
from rldk.core.table import MetricTable, Row, TableBuilder
from rldk.core.vocabulary import vocabulary
from rldk.engine.scan import rule_columns, scan
from rldk.errors import UnknownName, UsageError
from rldk.forensics.anomalies import anomalies, list_unchecked
from rldk.rules.rule import rules

VERSION = "1"
SAMPLES, RESPONSES = "advantage_samples", "response_data"  # what an event may carry besides metrics
TREND_ROWS = 10


class EventRows:
    """Events as rows in canonical names, read like a file of events. `held`: the samples of steps not yet used."""

    def __init__(self) -> None:
        self._reader = LiveReader(ReadOptions(format="jsonl"))
        self.held: dict[int, dict[str, Any]] = {}

    @property
    def reader(self) -> LiveReader:
        return self._reader

    def of(self, events: Iterable[Event | Mapping[str, Any]]) -> Iterator[Row]:
        """Yields the rows, once each is whole. It takes one event after the other and keeps none. Raises
        `UsageError`."""
        for number, event in enumerate(events, start=1):
            yield from self._reader.feed(self._line(event, number))
        yield from self._reader.finish()

    def _line(self, event: Event | Mapping[str, Any], number: int) -> bytes:
        if not isinstance(event, Event | Mapping):
            hint = "pass mappings such as {'step': 1, 'kl': 0.1}, or rldk.io.Event"
            raise UsageError(f"event {number} is {type(event).__name__}, not an event", hint=hint)
        plain = dict(event) if isinstance(event, Mapping) else vars_of(event)
        step = plain.get("step", plain.get("global_step"))
        for name in (SAMPLES, RESPONSES):
            inside = plain.get("metrics")
            value = plain.pop(name, None)
            if value is None and isinstance(inside, Mapping) and name in inside:
                plain["metrics"] = {key: x for key, x in inside.items() if key != name}
                value = inside[name]
            if value is not None and step is not None:
                self.held.setdefault(int(step), {})[name] = value
        try:
            return json.dumps(to_builtins(plain), allow_nan=False).encode() + b"\n"
        except TypeError as error:
            raise UsageError(f"event {number}: {error}", hint="pass numbers and plain JSON types") from None


def vars_of(event: Event) -> dict[str, Any]:
    """The fields that an event has."""
    fields = ("step", "wall_time", "metrics", "rng", "data_slice", "model_info", "notes")
    return {name: value for name in fields if (value := getattr(event, name)) not in (None, {}, [])}


def scan_ppo_events(events: Iterable[Event | Mapping[str, Any]]) -> dict[str, Any]:
    """What the rules find in a run given as events: row, scalar or wide form as mappings, or `Event`. They are consumed
    once.

    Keys: `version, verdict, passed, rules_fired` (every finding: `rule, code, description, severity, step_range,
    metric`), `anomalies` (as `ComprehensivePPOForensics.get_anomalies`), `earliest_step` (of the anomalies, None
    without one), `stats`, `not_checked` (documented anomalies that were not looked for, and why), `checked`, `skipped`,
    `rows, first_step, last_step, metrics`. Raises `UsageError` for an object that is no event."""
    source = EventRows()
    builder = TableBuilder()
    for row in source.of(events):
        builder.add(row.step, row.values, phase=row.phase, segment=row.segment, time=row.time)
    return scan_run(Run(id="events", source="events", metrics=builder.build(), meta=source.reader.meta))


def scan_logs(path: str | os.PathLike[str], *, field_map: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The same for the run in any log, directory or URL that rldk opens. `run`, `source` and `format` are added.

    Raises `UsageError` when there are several runs, and the errors of `rldk.adapters`."""
    return _named(open_one(path, field_map=field_map), os.fspath(path))


def scan_runs(
    path: str | os.PathLike[str], *, adapter: str | None = None, field_map: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """`scan_logs` for each run in `path`."""
    runs = open_runs(path, adapter=adapter, field_map=field_map)
    return [_named(run, os.fspath(path) if len(runs) == 1 else run.source) for run in runs]


def open_one(
    path: str | os.PathLike[str],
    *,
    field_map: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    preset: str | None = None,
) -> Run:
    """The one run in `path`. `columns`: like `field_map`, for keys that must be there.

    `preset`: the trainer whose names the log has, one of `rldk.adapters.naming.keys.PRESETS`. The user's own names win
    over it. Raises `UsageError` when there are several runs and `UnknownName` for a column that the log lacks."""
    told = {**(field_map or {}), **(columns or {})}
    runs = open_runs(path, field_map={**(preset_field_map(preset) if preset else {}), **told})
    if len(runs) > 1:
        names = ", ".join(run.id for run in runs[:5])
        raise UsageError(f"{path} holds {len(runs)} runs: {names}", hint="name one of them")
    meta = runs[0].meta
    for key in columns or ():
        if f"field map: there is no column {key!r}" in meta.notes:
            raise UnknownName("column", key, {*meta.names.values(), *runs[0].metrics.columns} - set(meta.names))
    return runs[0]


def preset_field_map(preset: str) -> dict[str, str]:
    """The keys of a trainer and the metrics they mean, where a plain renaming gives them."""
    if preset not in PRESETS:
        raise UnknownName("preset", preset, PRESETS)
    words = vocabulary()
    chain = {parent for dialect in PRESETS[preset] for parent in words.aliases.chain(dialect)}
    return {
        alias.key: metric.name
        for metric in words.metrics.values()
        for dialect, aliases in metric.aliases.items()
        for alias in aliases
        if dialect in chain and not alias.transform and alias.phase == "train" and not PLACEHOLDER.search(alias.key)
    }


def _named(run: Run, source: str) -> dict[str, Any]:
    return {"run": run.id, "source": source, "format": run.meta.format, **scan_run(run)}


def scan_run(run: Run) -> dict[str, Any]:
    return summary(scan(run, tuple(rules)), rule_columns(run))


def summary(report: Report, table: MetricTable) -> dict[str, Any]:
    """The documented mapping of a report, with statistics of its rows."""
    found = anomalies(report)
    return {
        "version": VERSION,
        "verdict": report.verdict,
        "passed": report.passed,
        "rules_fired": [
            {
                "rule": f.name,
                "code": f.code,
                "description": f.message,
                "severity": f.severity,
                "step_range": [f.first_step, f.last_step],
                "metric": f.metric,
            }
            for f in report.findings
        ],
        "anomalies": found,
        "earliest_step": min((a["step"] for a in found), default=None),
        "stats": statistics(table),
        "not_checked": list_unchecked(report.skipped),
        "checked": list(report.checked),
        "skipped": {check.code: check.reason for check in report.skipped},
        "rows": report.numbers.get("rows"),
        "first_step": report.numbers.get("first_step"),
        "last_step": report.numbers.get("last_step"),
        "metrics": list(table.columns),
    }


def statistics(table: MetricTable) -> dict[str, Any]:
    """Medians of the KL and of the ratio of gradient norms, the trend of the entropy, over train rows."""
    train = table.phase == 0
    columns = {name: column[train] for name, column in table.columns.items()}
    made: dict[str, Any] = {}
    kl = _finite(columns.get("kl"))
    if len(kl):
        made |= {"kl_median": float(np.median(kl)), "kl_max": float(kl.max()), "kl_last": float(kl[-1])}
    policy, value = columns.get("grad_norm_policy"), columns.get("grad_norm_value")
    if policy is not None and value is not None:
        both = (policy > 0) & (value > 0)
        if both.any():
            made["grad_ratio_median"] = float(np.median(policy[both] / value[both]))
    entropy = _finite(columns.get("entropy"))
    if len(entropy) >= 2 * TREND_ROWS:
        made["entropy_trend"] = _trend(entropy)
    reward = _finite(columns.get("reward_mean"))
    if len(reward):
        made |= {"reward_first": float(reward[0]), "reward_last": float(reward[-1])}
    return made


def _finite(column: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return np.empty(0) if column is None else column[np.isfinite(column)]


def _trend(x: NDArray[np.float64]) -> str:
    """Compares the newest ten rows with the first ten: a trend is a move beyond both their spreads."""
    first, last = x[:TREND_ROWS], x[-TREND_ROWS:]
    moved = float(np.median(last) - np.median(first))
    if abs(moved) <= max(float(np.ptp(first)), float(np.ptp(last))):
        return "stable"
    return "increasing" if moved > 0 else "decreasing"
