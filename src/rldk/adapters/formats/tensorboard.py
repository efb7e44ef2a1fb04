"""Reads TensorBoard event files, as torch, tensorboardX and TensorFlow write them for TRL, SB3, CleanRL, RLlib ...

Scalars become rows; the texts `hyperparameters` (CleanRL), `args` and `model_config` (transformers) and hparams
sessions become the configuration; histograms, images, audio and other texts are counted and left out.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import literal, with_identity
from rldk.adapters.log import Log
from rldk.adapters.reading import check_strict
from rldk.adapters.source import File
from rldk.adapters.wire.protobuf import WireError, varint
from rldk.adapters.wire.scalars import Scalars
from rldk.adapters.wire.tensorboard_event import TensorBoardEvent, Value, hparams, read_event, value_distance
from rldk.adapters.wire.tfrecord import HEADER_BYTES, BadRecord, RecordReader, record_length
from rldk.core.algorithms import ALGORITHMS
from rldk.core.jsonl import KEPT_REJECTS
from rldk.core.model import Rejected
from rldk.core.stream import chunks
from rldk.errors import NoData, UnreadableSource

FLOAT32_DIGITS = 7
_TUNE_PREFIX = "ray/tune/"
_TIME_FIRST = 0x09  # key of field 1 (wall_time), fixed64
# number of bytes behind the step -> distance of the value from the end, and {those bytes without the value: tag number}
_Layouts = dict[int, tuple[int, dict[bytes, int]]]
_NO_LAYOUT: tuple[int, dict[bytes, int]] = (4, {})


@adapter
class TensorBoard(BaseAdapter):
    name = "tensorboard"
    describes = "TensorBoard event files (events.out.tfevents.*)"
    quality = 80
    keeps: ClassVar[str] = "wall time; the configuration where the trainer writes it as text (transformers, CleanRL)"
    loses: ClassVar[str] = (
        "digits beyond 7 (float32); earlier values where one metric has several at one step (two CleanRL "
        "episodes that end together; the `epoch` of an evaluation); metrics that the trainer does not send to it (SB3: "
        "`time/*` but fps, `train/n_updates`); NaN and `time_total_s` of RLlib, which Ray Tune does not write; "
        "text, histograms and images are left out by rldk"
    )
    gathers = True
    resumes = True
    _reading: _Reading | None = None

    @classmethod
    def sniff(cls, file: File) -> int:
        head = file.head
        length = record_length(head[:HEADER_BYTES]) if len(head) >= HEADER_BYTES else None
        if length is None:
            return 0
        first = head[HEADER_BYTES : HEADER_BYTES + length]
        if b"brain.Event:" in first[:64]:
            return 95
        try:
            event = read_event(first)
        except (WireError, struct.error):
            return 0
        return 60 if event.wall_time > 0 else 0

    def read(self) -> Log:
        """The scalars of all files as one run. The tags of a file in a sub-directory get that directory as prefix."""
        files = sorted(self.files, key=_age)
        base = Path(os.path.commonpath([f.path.absolute().parent for f in files])) if files else Path()
        left_out: dict[str, str] = {}
        reading = self._reading = self._before(files) or _Reading()
        for file in files[len(reading.parts) :]:
            folder = file.path.absolute().parent.relative_to(base).as_posix()
            try:
                reading.begin(file, "" if folder == "." else folder + "/")
            except UnreadableSource as error:
                if len(files) == 1:
                    raise
                left_out[str(file.path)] = error.message
        if left_out:
            self._reading = None
        if not len(reading.scalars):
            raise NoData(
                f"there is no scalar in {self.source}",
                hint="check that the run logs scalars and that the start of the file is not damaged",
            )
        return check_strict(reading.log(left_out), self)

    def _before(self, files: list[File]) -> _Reading | None:
        """The last reading, updated with new data in its last file; None when it covered other files."""
        reading = self._reading
        if reading is None or [part.path for part in reading.parts] != [file.path for file in files]:
            return None
        older = all(part.size == file.size for part, file in zip(reading.parts[:-1], files[:-1], strict=True))
        return reading if older and reading.go_on(files[-1]) else None


def _age(file: File) -> tuple[float, str]:
    """The time of the first event in the file. A resumed run continues in a new file, and files get renamed."""
    try:
        head = file.head[HEADER_BYTES + 1 : HEADER_BYTES + 9]
    except UnreadableSource:
        head = b""
    time = struct.unpack("<d", head)[0] if len(head) == 8 else math.inf
    return (time if time == time else math.inf, str(file.path))


class _Part:
    """The part of one file that was read. `rejected`: the first records that are not events."""

    def __init__(self, file: File, prefix: str) -> None:
        self.path, self.size, self.prefix = file.path, file.size, prefix
        self.reader = RecordReader(chunks(file))
        self.faults = 0
        self.rejected: list[Rejected] = []

    def reject(self, fault: BadRecord) -> None:
        self.faults += 1
        if len(self.rejected) < KEPT_REJECTS:
            self.rejected.append(self.rejection(fault))

    def rejection(self, fault: BadRecord) -> Rejected:
        return Rejected(line=fault.record, offset=fault.offset, reason=f"{self.path.name}: {fault.reason}")


class _Reading:
    """The scalars gathered from the files of one run."""

    def __init__(self) -> None:
        self.scalars = Scalars()
        self.config: dict[str, Any] = {}
        self.parts: list[_Part] = []
        self._not_scalar = 0
        self._exact = True

    def begin(self, file: File, prefix: str) -> None:
        """Adds the scalars of one file, with `prefix` before their tags."""
        part = _Part(file, prefix)
        self.scalars.start_file()
        self.parts.append(part)
        self._read(part)

    def go_on(self, file: File) -> bool:
        """Adds the new data of the last file; False when the beginning of that file has changed."""
        part = self.parts[-1]
        if not part.reader.go_on(chunks(file)):
            return False
        self._read(part)
        return True

    def _read(self, part: _Part) -> None:
        """Reads the events of a file. Nearly all of them hold one scalar of a known tag and differ from an earlier
        event only in time, step and value. All other bytes identify such an event, so it need not be decoded."""
        layouts: _Layouts = {}
        add_tag, add_step = self.scalars.tag.append, self.scalars.step.append
        add_value, add_time = self.scalars.value.append, self.scalars.time.append
        unpack_time, unpack_value = struct.Struct("<d").unpack_from, struct.Struct("<f").unpack_from
        at, step, step_bytes = 9, 0, b"?"
        for payload in part.reader:
            if payload[9:at] != step_bytes:
                step, at = _step(payload)
                step_bytes = payload[9:at] or b"?"
            size = len(payload)
            distance, known = layouts.get(size - at, _NO_LAYOUT)
            place = size - distance
            tag = known.get(payload[at:place] + payload[place + 4 :])
            if tag is not None and payload[0] == _TIME_FIRST:
                add_tag(tag)
                add_step(step)
                add_value(unpack_value(payload, place)[0])
                add_time(unpack_time(payload, 1)[0])
                continue
            event = _decode(payload, part)
            numbers = [self._take(event, value, part.prefix) for value in event.values]
            if len(numbers) == 1 and event.step == step:
                _learn(layouts, payload, at, event, numbers[0])

    def _take(self, event: TensorBoardEvent, value: Value, prefix: str) -> int | None:
        """Keeps a value. Returns the number of its tag when the value is a scalar."""
        if value.number is not None:
            self._exact = self._exact and value.exact
            number = self.scalars.tag_id(prefix + value.tag.removeprefix(_TUNE_PREFIX))
            self.scalars.add(number, event.step, value.number, event.wall_time)
            return number
        name = value.tag.removesuffix("/text_summary")
        if value.plugin == "hparams":
            self.config |= hparams(value.content)
        elif value.text is not None and name in _CONFIG_TEXTS:
            self.config |= _CONFIG_TEXTS[name](value.text)
        else:
            self._not_scalar += 1
        return None

    def _rejected(self) -> Iterator[Rejected]:
        for part in self.parts:
            yield from part.rejected
            yield from map(part.rejection, part.reader.faults)

    def log(self, left_out: dict[str, str]) -> Log:
        table = self.scalars.table()
        notes = self.scalars.notes()
        if self._not_scalar:
            notes += (f"rldk left out {self._not_scalar} values that are not scalars (text, histograms, images)",)
        log = Log(
            table=table,
            algorithm=script_algorithm(self.config),
            config=self.config,
            meta=_meta(self.config) | ({"left_out": left_out} if left_out else {}),
            notes=notes,
            lines=sum(part.reader.records for part in self.parts),
            rejected_count=sum(part.faults + len(part.reader.faults) for part in self.parts),
            rejected=tuple(islice(self._rejected(), KEPT_REJECTS)),
            precision=None if self._exact else FLOAT32_DIGITS,
        )
        return with_identity(log)


def _decode(payload: bytes, part: _Part) -> TensorBoardEvent:
    try:
        return read_event(payload)
    except (WireError, struct.error) as error:
        part.reject(BadRecord(part.reader.records, part.reader.offset, f"the record is not an event: {error}"))
        return TensorBoardEvent(math.nan, 0, ())


def _learn(layouts: _Layouts, payload: bytes, at: int, event: TensorBoardEvent, number: int | None) -> None:
    """Remembers the layout of a scalar event whose step ends at `at`."""
    distance = value_distance(payload, event) if number is not None and number >= 0 else None
    if distance is None or number is None or payload[0] != _TIME_FIRST:
        return
    size = len(payload)
    if layouts.get(size - at, _NO_LAYOUT)[0] != distance or size - at not in layouts:
        layouts[size - at] = (distance, {})
    layouts[size - at][1][payload[at : size - distance] + payload[size - distance + 4 :]] = number


def _step(payload: bytes) -> tuple[int, int]:
    """The step of an event whose first field is the time, and the offset after the step. Without a step it is 0."""
    if payload[9:10] != b"\x10":
        return 0, 9
    try:
        step, at = varint(payload, 10)
    except WireError:
        return 0, 9
    return (step - (1 << 64) if step >= 1 << 63 else step), at


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _model_config(text: str) -> dict[str, Any]:
    value = _json(text)
    return {"model_config": value} if value else {}


def markdown_table(text: str) -> dict[str, Any]:
    """The rows of CleanRL's `|param|value|` table, with numbers, booleans and None as such."""
    rows = [line.strip().strip("|").split("|", 1) for line in text.splitlines() if line.lstrip().startswith("|")]
    return {row[0].strip(): literal(row[1].strip()) for row in rows[2:] if len(row) == 2}


_CONFIG_TEXTS = {"hyperparameters": markdown_table, "args": _json, "model_config": _model_config}


def script_algorithm(config: dict[str, Any]) -> str | None:
    """The algorithm of a CleanRL experiment, which is named after its script: `ppo`, `ppo_atari`, `dqn_atari`."""
    first = str(config.get("exp_name", "")).split("_")[0]
    return first if first in ALGORITHMS else None


def _meta(config: dict[str, Any]) -> dict[str, Any]:
    model = config.get("model_config")
    version = model.get("transformers_version") if isinstance(model, dict) else None
    return {"environment": {"transformers": version}} if isinstance(version, str) else {}
