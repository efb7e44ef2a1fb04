"""Reads RLlib through Ray Tune: result.json (JSON lines) and progress.csv, with a row for each iteration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.rowsource import JsonRows
from rldk.adapters.live.tablerows import RowByRow, TableRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.reading import Sink, only_file, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, cell, records
from rldk.core.jsonl import decode
from rldk.core.records import BadLine, to_step, to_time
from rldk.errors import NoData, RldkError

CLOCK = "training_iteration"
MAX_CONFIG = 1 << 22
FIRST_KEYS = "progress.csv has only the metrics of the first iteration; result.json has all of them"
_TUNE = (b"trial_id", b"time_this_iter_s", b"time_total_s")
_RLLIB = (b"env_runners", b"num_env_steps_sampled", b"episode_reward_mean", b"learner")
# These numbers are not metrics of the training, so rldk must not chart them or compare them with limits.
_BOOKKEEPING = frozenset({"pid", "done", "timestamp", "iterations_since_restore", "should_checkpoint"})
# The first row counts that has a key with this ending: the module's name in the middle of a key is the user's.
_ALGORITHMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sac", ("/alpha_value", "/alpha_loss")),
    ("ppo", ("/mean_kl_loss", "/curr_kl_coeff", "/learner_stats/cur_kl_coeff")),
    ("dqn", ("/qf_mean", "/learner_stats/mean_q")),
)


def is_metric(key: str) -> bool:
    return key not in _BOOKKEEPING and not key.startswith("config/")


def identity(keys: Iterable[str]) -> dict[str, Any]:
    """The fields of `Log` that name the trainer behind these keys. Tune also writes for trainers other than RLlib."""
    names = list(keys)
    if not any(mark.decode() in name for name in names for mark in _RLLIB):
        return {"framework": "ray_tune"}
    algorithm = next((a for a, ends in _ALGORITHMS if any(name.endswith(ends) for name in names)), None)
    return {"framework": "rllib", "dialect": "rllib", "algorithm": algorithm}


def _likelihood(head: bytes) -> int:
    if CLOCK.encode() not in head or not any(mark in head for mark in _TUNE):
        return 0
    return 95 if any(mark in head for mark in _RLLIB) else 70


@adapter
class RLlibJson(BaseAdapter):
    """Nested keys are joined by "/" as in progress.csv. The configuration on every line is not a metric."""

    name: ClassVar[str] = "rllib-json"
    describes: ClassVar[str] = "result.json of RLlib and Ray Tune"
    quality: ClassVar[int] = 80
    keeps: ClassVar[str] = "every digit, wall time, configuration, seed, stated NaN"
    loses: ClassVar[str] = "nothing that RLlib reports as a number"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: JsonRows(step_key=CLOCK),
        joins=True,
        identify=by_keys(identity),
        keeps=is_metric,
        configure=lambda file: configuration(file)[0],
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        line = file.first_line.removeprefix(b"\xef\xbb\xbf")
        return _likelihood(line) if file.is_text and line.startswith(b"{") and f'"{CLOCK}":'.encode() in line else 0

    def read(self) -> Log:
        file = only_file(self)
        found = decode(file, step_key=CLOCK, strict=bool(self.options.get("strict")))
        if not len(found.table):
            raise NoData(
                f"there is no usable row in {self.source}",
                hint="check whether the run stopped before its first iteration",
            )
        table = found.table.select([key for key in found.table.columns if is_metric(key)])
        config, meta = configuration(file)
        return Log(
            table=table,
            config=config,
            meta=_seeded(config, meta),
            lines=found.lines,
            rejected_count=found.rejected_count,
            rejected=found.rejected,
            **identity(opening_of(table).keys),
        )


@adapter
class RLlibCsv(BaseAdapter):
    """The first result decides the header. Metrics that first appear later are lost, as result.json shows."""

    name: ClassVar[str] = "rllib-csv"
    describes: ClassVar[str] = "progress.csv of RLlib and Ray Tune"
    quality: ClassVar[int] = 75
    keeps: ClassVar[str] = "every digit, wall time, stated NaN; configuration from `params.json` beside it"
    loses: ClassVar[str] = "metrics that first appear after the first iteration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(RLlibTable()),
        identify=lambda opening, _: identity(opening.keys) | {"notes": (FIRST_KEYS,)},
        configure=lambda file: configuration(file)[0],
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        line = file.first_line.removeprefix(b"\xef\xbb\xbf")
        plain = file.is_text and not line.startswith(b"{") and CLOCK.encode() in line.split(b",")
        return _likelihood(line) if plain else 0

    def read(self) -> Log:
        reading = parse_file(self, RLlibTable(), records)
        reading.notes.append(FIRST_KEYS)
        config, meta = configuration(only_file(self))
        log = reading.log(config=config, meta=_seeded(config, meta))
        return replace(log, **identity(opening_of(log.table).keys))


class RLlibTable(RowByRow):
    """Reads the records of progress.csv. A header applies to the rows that follow it."""

    delimiter = ","

    def __init__(self) -> None:
        self.header: list[str] = []

    def heads(self, record: Fields) -> bool:
        return not self.header or CLOCK in record.values

    def take(self, record: Fields, sink: Sink) -> None:
        if self.heads(record):
            self.header = record.values
        else:
            _row(sink, self.header, record)


def _row(sink: Sink, header: list[str], record: Fields) -> None:
    problem = record.problem
    if not problem and len(record.values) != len(header):
        torn = not record.whole and len(record.values) < len(header)
        problem = "the last line is torn" if torn else f"{len(record.values)} fields, but the header has {len(header)}"
    texts = {} if problem else dict(zip(header, record.values, strict=True))
    if not record.whole:
        texts.pop(header[-1], None)  # the writer ends every row with a newline: this number may be cut
    try:
        step = to_step(texts.get(CLOCK) or None)
    except BadLine as error:
        step, problem = None, str(error)
    if problem or step is None:
        sink.reject(record.line, record.offset, problem or f"no {CLOCK}", ",".join(record.values))
        return
    values = {k: v for k, t in texts.items() if k != CLOCK and is_metric(k) and (v := cell(t)) is not None}
    sink.row(step, values, time=to_time(texts.get("timestamp")))


def configuration(file: File) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration in params.json beside the file, and the `meta` that lists that file. Without params.json, the
    configuration that result.json repeats on every line, and no meta."""
    beside = File(file.path.parent / "params.json")
    try:
        with beside.open() as stream:
            config = _object(stream.read(MAX_CONFIG + 1))
    except (RldkError, OSError, EOFError):
        config = {}
    if config:
        return config, {"files": (str(file.path), str(beside.path))}
    own = _object(file.first_line).get("config")
    return own if isinstance(own, dict) else {}, {}


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`; empty when there is none or when it is larger than 4 MiB."""
    try:
        value = json.loads(data) if len(data) <= MAX_CONFIG else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _seeded(config: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    seed = config.get("seed")
    return meta | ({"seed": seed} if isinstance(seed, int) and not isinstance(seed, bool) else {})
