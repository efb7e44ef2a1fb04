"""Reads the Stable-Baselines3 loggers "csv" and "json": a row for each dump, on the clock time/total_timesteps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

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
from rldk.core.records import BadLine, to_step
from rldk.core.table import PHASES, MetricTable, Phase
from rldk.errors import NoData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLOCK = "time/total_timesteps"
_GROUPS = ("rollout/", "train/", "eval/", "time/")
# The first row counts whose keys are all there, as of 2.9: SAC, TD3 and DQN off-policy, PPO before A2C.
_ALGORITHMS: tuple[tuple[str, frozenset[str]], ...] = (
    ("ppo", frozenset({"train/clip_fraction"})),
    ("ppo", frozenset({"train/approx_kl"})),
    ("sac", frozenset({"train/ent_coef", "train/actor_loss"})),
    ("td3", frozenset({"train/actor_loss"})),
    ("dqn", frozenset({"rollout/exploration_rate"})),
    ("a2c", frozenset({"train/policy_loss", "train/explained_variance"})),
)


def identity(keys: Iterable[str]) -> dict[str, Any]:
    """The fields of `Log` that name the trainer behind these keys."""
    present = frozenset(keys)
    algorithm = next((name for name, needs in _ALGORITHMS if needs <= present), None)
    return {"framework": "stable_baselines3", "dialect": "sb3", "algorithm": algorithm}


def phase_of(keys: Iterable[str]) -> Phase:
    """The phase of the row with these keys: "eval" when it has only eval/* keys and clocks."""
    groups = {key.split("/", 1)[0] for key in keys} - {"time"}
    return "eval" if groups == {"eval"} else "train"


def join_dumps(table: MetricTable) -> MetricTable:
    """The table with disjoint rows of one step joined, and with the phases that `phase_of` gives.

    EvalCallback dumps pending values at its own moment, often at the very step of a rollout's dump."""
    import numpy as np

    from rldk.core.merge import merge_rows

    table = merge_rows(table)
    present = {"eval": np.zeros(len(table), dtype=bool), "other": np.zeros(len(table), dtype=bool)}
    for key, column in table.columns.items():
        group = key.split("/", 1)[0]
        if group != "time":
            told: NDArray[np.bool_] = ~np.isnan(column)
            told[table.stated_nan.get(key, np.empty(0, dtype=np.int64))] = True
            present["eval" if group == "eval" else "other"] |= told
    only_eval = present["eval"] & ~present["other"]
    return replace(table, phase=np.where(only_eval, PHASES.index("eval"), table.phase).astype(np.uint8))


@adapter
class SB3Csv(BaseAdapter):
    """progress.csv. When keys appear, the writer rewrites the header in place and pads earlier rows. An empty cell is
    missing."""

    name: ClassVar[str] = "sb3-csv"
    describes: ClassVar[str] = "progress.csv of Stable-Baselines3"
    quality: ClassVar[int] = 75
    keeps: ClassVar[str] = "every digit, stated NaN"
    loses: ClassVar[str] = "wall time other than seconds since the start; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(SB3Table()), joins=True, identify=by_keys(identity), phase=phase_of
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        names = {name.strip(b'"') for name in file.first_line.removeprefix(b"\xef\xbb\xbf").split(b",")}
        if not file.is_text or CLOCK.encode() not in names:
            return 0
        grouped = sum(name.startswith(tuple(g.encode() for g in _GROUPS)) for name in names)
        return 95 if 2 * grouped > len(names) else 50

    def read(self) -> Log:
        log = parse_file(self, SB3Table(), records).log()
        table = join_dumps(log.table)
        return replace(log, table=table, **identity(opening_of(table).keys))


class SB3Table(RowByRow):
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
    problem = record.problem or ("" if len(record.values) == len(header) else _width(header, record))
    step = None
    numbers = {} if problem else {k: v for k, v in zip(header, record.values, strict=True) if k}
    if not record.whole:
        numbers.pop(header[-1], None)  # the writer ends every row with a newline: this number may be cut
    try:
        step = to_step(numbers.pop(CLOCK, None) or None)
    except BadLine as error:
        problem = str(error)
    values = {key: value for key, text in numbers.items() if (value := cell(text)) is not None}
    if not problem and step is None and not values:
        problem = "the row has no number"
    if problem:
        sink.reject(record.line, record.offset, problem, ",".join(record.values))
    else:
        sink.row(sink.step if step is None else step, values)


def _width(header: list[str], record: Fields) -> str:
    torn = not record.whole and len(record.values) < len(header)
    return "the last line is torn" if torn else f"{len(record.values)} fields, but the header has {len(header)}"


@adapter
class SB3Json(BaseAdapter):
    """progress.json: JSON lines with bare NaN. It has float32 values in full, unlike progress.csv."""

    name: ClassVar[str] = "sb3-json"
    describes: ClassVar[str] = "progress.json of Stable-Baselines3"
    quality: ClassVar[int] = 80
    keeps: ClassVar[str] = "every digit, stated NaN"
    loses: ClassVar[str] = "wall time other than seconds since the start; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: JsonRows(step_key=CLOCK), joins=True, identify=by_keys(identity), phase=phase_of
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        line = file.first_line.removeprefix(b"\xef\xbb\xbf")
        keyed = line.startswith(b"{") and f'"{CLOCK}":'.encode() in line
        return 95 if file.is_text and keyed else 0

    def read(self) -> Log:
        found = decode(only_file(self), step_key=CLOCK, strict=bool(self.options.get("strict")))
        if not len(found.table):
            raise NoData(
                f"there is no usable row in {self.source}", hint="check whether the run stopped before its first log"
            )
        table = join_dumps(found.table)
        return Log(
            table=table,
            lines=found.lines,
            rejected_count=found.rejected_count,
            rejected=found.rejected,
            **identity(opening_of(table).keys),
        )
