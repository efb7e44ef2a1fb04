"""Reads W&B's own file of a run, `run-<id>.wandb`, which runs leave in the `wandb` folder.

Its records are protobuf. The field numbers come from wandb/proto/wandb_internal.proto, checked against files of wandb
0.31.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import with_identity
from rldk.adapters.log import Log
from rldk.adapters.reading import check_strict, only_file
from rldk.adapters.source import File
from rldk.adapters.wire.leveldb_log import MAGIC, LogReader
from rldk.adapters.wire.protobuf import Message, WireError
from rldk.adapters.wire.scalars import Scalars
from rldk.core.model import Rejected
from rldk.core.stream import chunks
from rldk.errors import NoData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Record
_HISTORY, _SUMMARY, _CONFIG, _TELEMETRY, _RUN, _ENVIRONMENT = 2, 3, 5, 11, 17, 26
_KEY, _NESTED_KEY, _JSON = 1, 2, 16  # HistoryItem, SummaryItem, ConfigItem
_BOOLEAN, _INTEGER, _NUMBER = 4, 5, 6  # HistoryItem, where the value is not JSON
# Keys under which a trainer logs its own step; `_step` only counts the calls of wandb.log. The key that stands beside
# most values wins, the first among equals. open-instruct's global_step counts episodes, so training_step comes first.
CLOCKS = ("train/global_step", "trainer/global_step", "training/global_step", "training_step", "global_step")
_CLOCK_SHARE = 0.5
WORDS = {
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}  # how W&B writes values that JSON cannot express as numbers
_WORDS = {b"true": 1.0, b"false": 0.0} | {f'"{word}"'.encode(): number for word, number in WORDS.items()}
_MAX_DEPTH = 20


@adapter
class WandBAdapter(BaseAdapter):
    name = "wandb-offline"
    describes = "W&B run file (run-*.wandb)"
    quality = 80
    keeps: ClassVar[str] = "every digit, wall time, configuration, stated NaN"
    loses: ClassVar[str] = (
        "earlier values where one metric has several at one step; tables, text and media are left out by rldk"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        return 95 if file.head.startswith(MAGIC) else 0

    def read(self) -> Log:
        """The history of the run. Its step is that of the trainer, if the trainer logged it."""
        reading = _Records()
        reader = LogReader(chunks(only_file(self)))
        for record in reader:
            try:
                reading.take(Message(record))
            except WireError as error:
                reader.reject(f"the data is not a record: {error}")
        if not len(reading.scalars):
            raise NoData(f"{self.source} has no history", hint="check that the run has logged a number")
        return check_strict(reading.log(reader.records, reader.rejected_count, tuple(reader.rejected)), self)


class WandbHistory:
    """The history of a W&B run. Until `log`, the step of a scalar is the number of its history row."""

    def __init__(self) -> None:
        self.scalars = Scalars()
        self.config: dict[str, Any] = {}
        self.environment: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self._summary: dict[str, float] = {}
        self._rows = 0
        self._calls = array("q")  # `_step` of every row
        self._clocks: dict[str, dict[int, int]] = {name: {} for name in CLOCKS}  # row -> step
        self._not_scalar: set[str] = set()

    def add(self, items: Iterable[tuple[str, float | None]], call: int | None = None) -> None:
        """Takes a history row as pairs (key, number or None). `call`: the `_step` of the row, if the pairs lack it."""
        row, time = self._rows, math.nan
        call = row if call is None else call
        values: dict[str, float] = {}
        for key, value in items:
            if value is None:
                self._not_scalar.add(key)
            elif key == "_timestamp":
                time = value
            elif key == "_step":
                call = whole_step(value, call)
            elif not key.startswith("_"):
                values[key] = value
        for name in CLOCKS:
            if name in values and math.isfinite(values[name]):
                self._clocks[name][row] = whole_step(values[name], row)
        for key, value in values.items():
            self.scalars.add(self.scalars.tag_id(key), row, value, time)
        self._calls.append(call)
        self._rows += 1

    def summarise(self, items: Iterable[tuple[str, float | None]]) -> None:
        """Takes the summary of the run, except for metrics that have a history."""
        self._summary.update((key, value) for key, value in items if value is not None and not key.startswith("_"))

    def log(self, lines: int, rejected_count: int = 0, rejected: tuple[Rejected, ...] = ()) -> Log:
        """The log of the rows so far; there must be at least one."""
        import numpy as np

        last = max(self._rows - 1, 0)
        for key, value in self._summary.items():
            if key not in self.scalars.tags:
                self.scalars.add(self.scalars.tag_id(key, "summary"), last, value)
        clock, steps = self._clock()
        self.scalars.step = array("q", steps[np.frombuffer(self.scalars.step, dtype=np.int64)].tobytes())
        table = self.scalars.table()
        table = table.select([name for name in table.columns if name != clock])
        notes = self.scalars.notes()
        if unread := self._not_scalar - self.scalars.tags.keys():
            notes += (f"rldk left out {len(unread)} keys without numbers (text, tables, histograms, media)",)
        if clock:
            notes += (f"the steps come from {clock}",)
        log = Log(
            table=table,
            config=self.config,
            meta=self.meta | ({"environment": self.environment} if self.environment else {}),
            notes=notes,
            lines=lines,
            rejected_count=rejected_count,
            rejected=rejected,
        )
        return with_identity(log)

    def _clock(self) -> tuple[str | None, NDArray[np.int64]]:
        """The key that carries the trainer's step, and the step of every row.

        A row without it (a timer, a table) belongs to the step before it."""
        import numpy as np

        row_of = np.frombuffer(self.scalars.step, dtype=np.int64)
        present = {name: np.zeros(self._rows, dtype=bool) for name in CLOCKS}
        for name, mask in present.items():
            mask[list(self._clocks[name])] = True
        best = max(CLOCKS, key=lambda name: float(present[name][row_of].mean()))
        if present[best][row_of].mean() < _CLOCK_SHARE:
            return None, np.array(self._calls, dtype=np.int64)
        at = np.flatnonzero(present[best])
        known = np.array([self._clocks[best][row] for row in at.tolist()], dtype=np.int64)
        before = np.searchsorted(at, np.arange(self._rows), side="right") - 1
        return best, known[np.maximum(before, 0)]


class _Records(WandbHistory):
    """The history in the records of a run file."""

    def take(self, record: Message) -> None:
        for history in record.messages(_HISTORY):
            call = history.message(2).integer(1, -1)
            self.add(map(_item, history.chunks(1)), None if call < 0 else call)
        for summary in record.messages(_SUMMARY):
            self.summarise(map(_item, summary.chunks(1)))
        for config in record.messages(_CONFIG):
            self._take_config(config)
        for run in record.messages(_RUN):
            self._take_run(run)
        for environment in record.messages(_ENVIRONMENT):
            self._take_git(environment.message(9))

    def _take_config(self, config: Message) -> None:
        for item in config.messages(1):
            path = [k.decode("utf-8", "replace") for k in item.chunks(_NESTED_KEY)] or [item.text(_KEY)]
            if path[0] == "_wandb" or len(path) > _MAX_DEPTH:
                continue
            try:
                value = json.loads(item.text(_JSON))
            except (ValueError, RecursionError):
                continue
            here = self.config
            for key in path[:-1]:
                inner = here.get(key)
                if not isinstance(inner, dict):
                    inner = here[key] = {}
                here = inner
            here[path[-1]] = value

    def _take_run(self, run: Message) -> None:
        for config in run.messages(4):
            self._take_config(config)
        telemetry = run.message(19)
        stated = {
            "wandb_run": run.text(1),
            "wandb_project": run.text(3),
            "wandb_name": run.text(8),
            "started": run.message(17).integer(1),
            "python": telemetry.text(4),
            "wandb": telemetry.text(5),
        }
        self.environment |= {key: value for key, value in stated.items() if value}
        self._take_git(run.message(21))

    def _take_git(self, git: Message) -> None:
        if commit := git.text(2):
            self.meta["git_sha"] = commit


def _item(data: bytes) -> tuple[str, float | None]:
    """The key of a history or summary item, with nested keys joined by dots, and its number; None without a number."""
    size = len(data)
    # nearly every item: one short key, then `value_json`
    if size > 5 and data[0] in b"\x0a\x12" and data[1] < 0x80:
        at = 2 + data[1]
        if data[at : at + 2] == b"\x82\x01" and data[at + 2 : at + 3] == bytes([(size - at - 3) & 0x7F]):
            return data[2:at].decode("utf-8", "replace"), _number(data[at + 3 :])
    item = Message(data)
    key = ".".join(k.decode("utf-8", "replace") for k in item.chunks(_NESTED_KEY)) or item.text(_KEY)
    chunks = item.chunks(_JSON)
    if chunks:
        return key, _number(chunks[-1])
    if _INTEGER in item:
        zigzag = item.integer(_INTEGER) % 2**64
        return key, float(zigzag >> 1 ^ -(zigzag & 1))
    return key, float(item.integer(_BOOLEAN)) if _BOOLEAN in item else item.fixed_width(_NUMBER, "d")


def _number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return _WORDS.get(text)


def whole_step(value: float, default: int) -> int:
    return int(value) if abs(value) < 2**62 else default
