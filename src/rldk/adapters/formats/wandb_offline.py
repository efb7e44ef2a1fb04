"""Reads W&B's own file of a run, `run-<id>.wandb`, which runs leave in the `wandb` folder.

Its records are protobuf. The field numbers come from wandb/proto/wandb_internal.proto, checked against files of wandb
0.31.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import with_identity
from rldk.adapters.formats.wandb_rows import only_field, plain_keys, plain_row
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
# keys of plain rows: the size, then the text
_TIME, _CALL, *_CLOCK_NAMES = (bytes([len(name)]) + name.encode() for name in ("_timestamp", "_step", *CLOCKS))
_CLOCK_KEYS = dict(zip(_CLOCK_NAMES, CLOCKS, strict=True))


@adapter
class WandBAdapter(BaseAdapter):
    name = "wandb-offline"
    describes = "W&B run file (run-*.wandb)"
    quality = 80
    keeps: ClassVar[str] = "every digit, wall time, configuration, stated NaN"
    loses: ClassVar[str] = (
        "earlier values where one metric has several at one step; tables, text and media are left out by rldk"
    )

    resumes = True
    _reading: _Records | None = None

    @classmethod
    def sniff(cls, file: File) -> int:
        return 95 if file.head.startswith(MAGIC) else 0

    def read(self) -> Log:
        """The history of the run. Its step is that of the trainer, if the trainer logged it."""
        file, reading = only_file(self), self._reading
        if reading is None or not reading.go_on(chunks(file)):
            reading = self._reading = _Records(chunks(file))
        reading.read()
        if not len(reading.scalars):
            raise NoData(f"{self.source} has no history", hint="check that the run has logged a number")
        reader = reading.reader
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

        scalars, last = self.scalars.copy(), max(self._rows - 1, 0)
        for key, value in self._summary.items():
            if key not in scalars.tags:
                scalars.add(scalars.tag_id(key, "summary"), last, value)
        row_of = np.array(scalars.step, dtype=np.int64)
        clock, steps = self._clock(row_of)
        scalars.step = array("q", steps[row_of].tobytes())
        table = scalars.table()
        table = table.select([name for name in table.columns if name != clock])
        notes = scalars.notes()
        if unread := self._not_scalar - scalars.tags.keys():
            notes += (f"rldk left out {len(unread)} keys without numbers (text, tables, histograms, media)",)
        if clock:
            notes += (f"the steps come from {clock}",)
        log = Log(
            table=table,
            config=deepcopy(self.config),
            meta=self.meta | ({"environment": dict(self.environment)} if self.environment else {}),
            notes=notes,
            lines=lines,
            rejected_count=rejected_count,
            rejected=rejected,
        )
        return with_identity(log)

    def _clock(self, row_of: NDArray[np.int64]) -> tuple[str | None, NDArray[np.int64]]:
        """The key that carries the trainer's step, and the step of every row. `row_of`: the row of each scalar.

        A row without it (a timer, a table) belongs to the step before it."""
        import numpy as np

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
    """The history in the records of a run file. `read` reads them, and once more after `go_on` in a grown file."""

    def __init__(self, source: Iterable[bytes]) -> None:
        super().__init__()
        self.reader = LogReader(source)
        self.go_on = self.reader.go_on
        self._numbers: dict[bytes, int] = {}  # key -> the number of its tag; -1 for keys that the table leaves out
        self._takers: dict[int, Callable[[bytes], None]] = {
            _HISTORY: self._take_history,
            _SUMMARY: self._take_summary,
            _CONFIG: self._take_config,
            _RUN: self._take_run,
            _ENVIRONMENT: lambda data: self._take_git(Message(data).message(9)),
        }

    def read(self) -> None:
        for record in self.reader:
            try:
                only = only_field(record)
                if only is not None:
                    self._takers[only[0]](only[1])
                    continue
                for number, values in Message(record).fields():
                    for data in values:
                        if number in self._takers and isinstance(data, bytes):
                            self._takers[number](data)
            except WireError as error:
                self.reader.reject(f"the data is not a record: {error}")

    def _take_history(self, data: bytes) -> None:
        plain = plain_row(data)
        if plain is None or not self._add_plain(*plain):
            history = Message(data)
            call = history.message(2).integer(1, -1)
            self.add(map(_item, history.chunks(1)), None if call < 0 else call)

    def _take_summary(self, data: bytes) -> None:
        keys = plain_keys(data)
        if keys is None or not self._are_known(keys):
            self.summarise(map(_item, Message(data).chunks(1)))  # a metric with a history needs none

    def _are_known(self, keys: Sequence[bytes]) -> bool:
        """Whether each key is in `_numbers`, which learns those of the tags that have a history by now."""
        known = self._numbers.keys()
        if known >= set(keys):
            return True
        for key in keys:
            name = key[1:].decode("utf-8", "replace")
            if key[0] == len(key) - 1 and name.startswith("_"):
                self._numbers[key] = -1
            elif key[0] == len(key) - 1 and name in self.scalars.tags:
                self._numbers[key] = self.scalars.tags[name]
        return known >= set(keys)

    def _add_plain(self, keys: Sequence[bytes], numbers: list[float], call: int) -> bool:
        """Does the same as `add` for a row of numbers whose keys are all known, much quicker. False for any other."""
        given = dict(zip(keys, numbers, strict=True))
        try:
            tags = list(map(self._numbers.__getitem__, given))
        except KeyError:
            return self._are_known(keys) and self._add_plain(keys, numbers, call)
        row, time, values = self._rows, given.get(_TIME, math.nan), list(given.values())
        call = row if call < 0 else call
        self._calls.append(whole_step(given[_CALL], call) if _CALL in given else call)
        for key, name in _CLOCK_KEYS.items():
            if key in given and math.isfinite(given[key]):
                self._clocks[name][row] = whole_step(given[key], row)
        while -1 in tags:
            at = tags.index(-1)
            del tags[at], values[at]
        self.scalars.add_row(tags, row, values, time)
        self._rows += 1
        return True

    def _take_config(self, data: bytes) -> None:
        for item in Message(data).messages(1):
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

    def _take_run(self, data: bytes) -> None:
        run = Message(data)
        for config in run.chunks(4):
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
