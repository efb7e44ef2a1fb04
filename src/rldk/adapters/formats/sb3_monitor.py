"""Reads monitor.csv, in which the Monitor wrapper of Stable-Baselines3 keeps episodes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.tablerows import RowByRow, TableRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading, Sink, only_file, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, cell, records
from rldk.core.records import MAX_STEP
from rldk.core.table import Phase
from rldk.core.text import later

_OPENING = later(rb"# ?\{")
_COLUMNS = later(rb"r,l,t(?:,|\r*$)")  # Windows puts a \r of its own before the one of the csv module
_EPISODE = later(rb"-?[\d.]+(?:e[-+]?\d+)?,\d+,[\d.]+")
_WORKER = later(r"(?:(?<=^)|(?<=[._-]))\d+(?:\.\d+)?[._]?(?=monitor\.csv)")
IDENTITY = {"framework": "stable_baselines3", "dialect": "sb3"}


def configuration(file: File) -> dict[str, Any]:
    """The facts about the environment in the first line."""
    env = _said(file.first_line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")).get("env_id")
    return {"env_id": env} if isinstance(env, str) else {}


@adapter
class SB3Monitor(BaseAdapter):
    """The lines are `#{json}`, `r,l,t`, then one for each episode of one environment: return, length, seconds since
    `t_start`.

    The step is the sum of the lengths so far. The files of several workers (`0.monitor.csv`, `1.monitor.csv`, or
    `0.0.monitor.csv` of OpenAI baselines) are one run. Their episodes are sorted by time, and the step counts all
    workers."""

    name: ClassVar[str] = "sb3-monitor"
    describes: ClassVar[str] = "monitor.csv of Stable-Baselines and OpenAI baselines (one row an episode)"
    quality: ClassVar[int] = 30
    gathers: ClassVar[bool] = True
    keeps: ClassVar[str] = "return, length and time of every episode"
    loses: ClassVar[str] = "everything else; the step of the whole run when the files of other workers are missing"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(EpisodeTable()), identify=lambda *_: dict(IDENTITY), configure=configuration
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        lines = file.head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 2)
        opened = _OPENING.match(lines[0]) is not None
        if len(lines) > 1 and opened and _COLUMNS.match(lines[1]):
            return 95
        return 70 if _COLUMNS.match(lines[0]) and _EPISODE.match(lines[1] if len(lines) > 1 else b"") else 0

    @classmethod
    def split(cls, files: Sequence[File]) -> dict[str | None, list[File]]:
        """The runs. Files whose names differ only in the number of the worker are one run."""
        found: dict[tuple[Path, str], list[File]] = {}
        for file in files:
            found.setdefault((file.path.parent, _WORKER.sub("", file.path.name)), []).append(file)
        if len(found) == 1:
            return {None: list(files)}
        names = [name for _, name in found]
        parts: dict[str | None, list[File]] = {}
        for (folder, name), part in found.items():
            stem = name.removesuffix(".csv").removesuffix(".monitor")
            parts[stem if names.count(name) == 1 else f"{folder.name}-{stem}"] = part
        return parts

    def read(self) -> Log:
        cut = partial(records, delimiter=",")
        if len(self.files) < 2:
            log = parse_file(self, EpisodeTable(), cut).log(**IDENTITY)
            return replace(log, config=configuration(only_file(self)))
        reading, episodes = Reading(self), _Episodes()
        for number, file in enumerate(self.files):
            episodes.worker, table = number, EpisodeTable()
            for record in cut(file):
                table.take(record, episodes)
            for refused in episodes.refused:
                reading.reject(*refused)
            episodes.refused.clear()
        step = 0
        for time, _, _, values in sorted(episodes.rows, key=lambda row: row[:3]):
            step += int(values["l"])
            reading.row(step, values, time=time)
        reading.notes.append(f"the rows are the episodes of {len(self.files)} workers in the order of time")
        return replace(reading.log(**IDENTITY), config=configuration(self.files[0]))


class _Episodes:
    """Takes the episodes of one worker after the other."""

    def __init__(self) -> None:
        self.step = self.worker = 0
        self.rows: list[tuple[float, int, int, Mapping[str, float]]] = []
        self.refused: list[tuple[int, int, str, str]] = []

    def row(self, step: int, values: Mapping[str, float], *, phase: Phase = "train", time: float = math.nan) -> None:  # noqa: ARG002
        self.step = step
        self.rows.append((time if time == time else math.inf, self.worker, len(self.rows), values))

    def reject(self, line: int, offset: int, reason: str, excerpt: str = "") -> None:
        self.refused.append((line, offset, reason, excerpt))


class EpisodeTable(RowByRow):
    """Reads the records of monitor.csv. A new opening line means a new environment, whose steps begin at 0."""

    delimiter = ","

    def __init__(self) -> None:
        self.header: list[str] = []
        self._start = 0.0
        self._step = 0

    def heads(self, record: Fields) -> bool:
        return record.values[0].startswith("#") or record.values[0] == "r"

    def take(self, record: Fields, sink: Sink) -> None:
        if not self.heads(record):
            self._episode(record, sink)
        elif record.values[0] == "r":
            self.header = record.values
        else:
            self._start, self._step = _began(_said(",".join(record.values))), 0

    def _episode(self, record: Fields, sink: Sink) -> None:
        cells = zip(self.header, record.values, strict=False)
        values = {name: value for name, text in cells if (value := cell(text)) is not None}
        seconds = values.pop("t", math.nan)
        length = values.get("l", math.nan)
        if not record.whole or record.problem or len(record.values) != len(self.header):
            problem = record.problem or (
                "the last line is torn" if not record.whole else "the row and the header differ in the number of fields"
            )
        elif "r" not in values or not (length >= 0 and length.is_integer() and self._step + length < MAX_STEP):
            problem = "an episode needs a return and a length"
        else:
            self._step += int(length)
            sink.row(self._step, values, time=self._start + seconds)
            return
        sink.reject(record.line, record.offset, problem, ",".join(record.values))


def _said(text: str) -> dict[str, Any]:
    """The JSON object after the mark of an opening line."""
    try:
        said = json.loads(text.lstrip("# "))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _began(said: dict[str, Any]) -> float:
    """The unix time at which `t` is 0; 0.0 when it is unknown."""
    start = said.get("t_start")
    return float(start) if isinstance(start, float | int) and abs(start) < 1e12 else 0.0
