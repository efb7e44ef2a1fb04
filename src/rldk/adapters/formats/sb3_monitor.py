"""monitor.csv, what the Monitor wrapper of Stable-Baselines3 keeps of episodes."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.tablerows import RowByRow, TableRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Sink, only_file, parsed
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, cell, records
from rldk.core.records import MAX_STEP

IDENTITY = {"framework": "stable_baselines3", "dialect": "sb3"}


def configuration(file: File) -> dict[str, Any]:
    """What the first line says of the environment."""
    env = _said(file.first_line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")).get("env_id")
    return {"env_id": env} if isinstance(env, str) else {}


@adapter
class SB3Monitor(BaseAdapter):
    """`#{json}`, `r,l,t`, then one line an episode of one environment: return, length, seconds since `t_start`.

    The step is the sum of the lengths so far: environment steps of this one environment, not of the whole run."""

    name: ClassVar[str] = "sb3-monitor"
    describes: ClassVar[str] = "monitor.csv of Stable-Baselines3 (one row an episode)"
    quality: ClassVar[int] = 30
    keeps: ClassVar[str] = "return, length and time of every episode"
    loses: ClassVar[str] = "everything else; the step of the whole run: it is the sum of lengths in one environment"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(EpisodeTable()), identify=lambda *_: dict(IDENTITY), configure=configuration
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        lines = file.head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 2)
        return 95 if len(lines) > 1 and lines[0].startswith(b"#{") and lines[1].startswith(b"r,l,t") else 0

    def read(self) -> Log:
        log = parsed(self, EpisodeTable(), partial(records, delimiter=",")).log(**IDENTITY)
        return replace(log, config=configuration(only_file(self)))


class EpisodeTable(RowByRow):
    """The records of monitor.csv. A new opening line is a new environment, whose steps begin at 0."""

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
            problem = record.problem or ("torn last line" if not record.whole else "not as many fields as the header")
        elif "r" not in values or not (length >= 0 and length.is_integer() and self._step + length < MAX_STEP):
            problem = "an episode needs a return and a length"
        else:
            self._step += int(length)
            sink.row(self._step, values, time=self._start + seconds)
            return
        sink.reject(record.line, record.offset, problem, ",".join(record.values))


def _said(text: str) -> dict[str, Any]:
    """The object behind the mark of an opening line."""
    try:
        said = json.loads(text[1:])
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _began(said: dict[str, Any]) -> float:
    """The unix time at which `t` is 0; 0.0 when unknown."""
    start = said.get("t_start")
    return float(start) if isinstance(start, float | int) and abs(start) < 1e12 else 0.0
