"""The formats that can be read line by line while they grow, as data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct

from rldk.adapters import (
    cleanrl_stdout,
    dialect,
    flexible,
    openrlhf,
    rllib,
    rllib_stdout,
    sb3,
    sb3_monitor,
    sb3_stdout,
    tabular,
    trl,
    trl_stdout,
    verl,
)
from rldk.adapters.base import BaseAdapter
from rldk.adapters.jsonl import CustomJSONLAdapter
from rldk.adapters.naming import guessed, says_metric
from rldk.adapters.opening import Opening
from rldk.adapters.pattern import PatternRows
from rldk.adapters.rowsource import JsonRows, RowSource, TextRows, TrlRows
from rldk.adapters.source import File
from rldk.adapters.tablerows import TableRows
from rldk.core.table import Phase

Told = dict[str, Any]  # fields of `Log`: framework, dialect, algorithm, and notes on them


class LineFormat(Struct, frozen=True, kw_only=True):
    """How a format is read while it grows; what its adapter does with a finished file.

    `source`: makes the reader of its bytes. `identify`: what the opening, and a text that may name the trainer, tell of
    the writer. `joins`: a step may be written in several rows. `phase`: of a row, by its keys. `keeps`: which keys are
    metrics. `configure`: the configuration in and beside the file. `guess`: {key: metric} beyond the user's map."""

    name: str
    source: Callable[[], RowSource]
    identify: Callable[[Opening, str], Told]
    adapter: type[BaseAdapter] | None = None
    joins: bool = False
    phase: Callable[[Iterable[str]], Phase] | None = None
    keeps: Callable[[str], bool] | None = None
    configure: Callable[[File], dict[str, Any]] | None = None
    guess: Callable[[Collection[str], Mapping[str, str]], Mapping[str, str]] | None = None


def _by_keys(identity: Callable[[Iterable[str]], Told]) -> Callable[[Opening, str], Told]:
    return lambda opening, _: identity(opening.keys)


def _generic(opening: Opening, _: str) -> Told:
    return dialect.identity(opening, {})


_FORMATS = (
    LineFormat(
        adapter=verl.VerlJsonl, name="verl-jsonl", source=lambda: JsonRows(**verl.DECODING), joins=True,
        identify=_by_keys(verl.identity), phase=verl.phase_of,
    ),
    LineFormat(
        adapter=sb3.SB3Json, name="sb3-json", source=lambda: JsonRows(step_key=sb3.CLOCK), joins=True,
        identify=_by_keys(sb3.identity), phase=sb3.phase_of,
    ),
    LineFormat(
        adapter=rllib.RLlibJson, name="rllib-json", source=lambda: JsonRows(step_key=rllib.CLOCK), joins=True,
        identify=_by_keys(rllib.identity), keeps=rllib.is_metric, configure=lambda file: rllib.configuration(file)[0],
    ),
    LineFormat(adapter=CustomJSONLAdapter, name="jsonl", source=JsonRows, joins=True, identify=_generic),
    LineFormat(
        adapter=sb3.SB3Csv, name="sb3-csv", source=lambda: TableRows(sb3.SB3Table()), joins=True,
        identify=_by_keys(sb3.identity), phase=sb3.phase_of,
    ),
    LineFormat(
        adapter=sb3_monitor.SB3Monitor, name="sb3-monitor", source=lambda: TableRows(sb3_monitor.EpisodeTable()),
        identify=lambda *_: dict(sb3_monitor.IDENTITY), configure=sb3_monitor.configuration,
    ),
    LineFormat(
        adapter=rllib.RLlibCsv, name="rllib-csv", source=lambda: TableRows(rllib.RLlibTable()),
        identify=lambda opening, _: rllib.identity(opening.keys) | {"notes": (rllib.FIRST_KEYS,)},
        configure=lambda file: rllib.configuration(file)[0],
    ),
    LineFormat(
        adapter=tabular.Csv, name="csv", source=lambda: TableRows(tabular.CsvTable()), identify=lambda *_: {},
    ),
    LineFormat(
        name="flexible", source=lambda: TableRows(tabular.CsvTable(counted=True)),
        identify=lambda *_: {}, guess=guessed,
    ),
    LineFormat(
        adapter=trl_stdout.TrlStdout, name="trl-stdout", source=TrlRows,
        identify=lambda opening, text: trl.identity(opening, text=text),
    ),
    LineFormat(
        adapter=sb3_stdout.SB3Stdout, name="sb3-stdout", source=lambda: TextRows(sb3_stdout.SB3Boxes()), joins=True,
        identify=_by_keys(sb3.identity), phase=sb3.phase_of,
    ),
    LineFormat(
        adapter=openrlhf.OpenRLHFConsole, name="openrlhf-console",
        source=lambda: TextRows(openrlhf.OpenRLHFRecords()), identify=_by_keys(openrlhf.identity),
    ),
    LineFormat(
        adapter=verl.VerlConsole, name="verl-console", source=lambda: TextRows(verl.VerlLines()),
        identify=_by_keys(verl.identity),
    ),
    LineFormat(
        adapter=cleanrl_stdout.CleanRLStdout, name="cleanrl-stdout",
        source=lambda: TextRows(cleanrl_stdout.CleanRLLines()), identify=lambda *_: dict(cleanrl_stdout.IDENTITY),
    ),
    LineFormat(
        adapter=rllib_stdout.RLlibStdout, name="rllib-stdout", source=lambda: TextRows(rllib_stdout.RLlibBlocks()),
        identify=_by_keys(rllib.identity),
    ),
)  # fmt: skip
FORMATS: dict[str, LineFormat] = {each.name: each for each in _FORMATS}
# What a user calls the console formats.
PATTERNS = {
    "trl": "trl-stdout",
    "openrlhf": "openrlhf-console",
    "verl": "verl-console",
    "sb3": "sb3-stdout",
    "cleanrl": "cleanrl-stdout",
    "rllib": "rllib-stdout",
}


def recognised(head: bytes, *, mapped: bool = False) -> LineFormat | None:
    """The format of a log that begins so, as `open_run` would choose it; None when it is none of these.

    `mapped`: the user says what the columns mean, so that a table need not."""
    file = File.beginning(head)
    scored = [(each.adapter.sniff(file), each.adapter.quality, each.name) for each in _FORMATS if each.adapter]
    best = min((s for s in scored if s[0] > 0), key=lambda s: (-s[0], -s[1], s[2]), default=None)
    if best is not None:
        return FORMATS[best[2]]
    columns = flexible.loose_columns(file)
    return FORMATS["flexible"] if columns and (mapped or says_metric(columns)) else None


def patterned(pattern: str) -> LineFormat:
    """The console format of that name, or one made of the user's own pattern. Raises `UsageError` for a bad pattern."""
    if pattern in PATTERNS:
        return FORMATS[PATTERNS[pattern]]
    PatternRows(pattern)
    return LineFormat(name="text", source=lambda: PatternRows(pattern), identify=_generic, joins=False)
