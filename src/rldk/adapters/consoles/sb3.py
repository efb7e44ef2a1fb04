"""Reads Stable-Baselines3 on the terminal and in log.txt: a box of two columns for every dump."""

from __future__ import annotations

import re
from typing import ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.sb3 import CLOCK, identity, join_dumps, phase_of
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.reading import Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, number
from rldk.core.records import BadLine, to_step
from rldk.core.text import later

_EDGE = later(r"-{10,}")
_CELLS = later(r"\|(?P<indent> {1,4})(?P<key>\S(?:[^|]*\S)?) *\| (?P<value>[^|]*?) *\|")
_CLOCK_ROW = later(rb"^\|\s{1,4}(?:time/)?total_timesteps\s*\|\s*\d+\s*\|", re.MULTILINE)


class SB3Box(Struct):
    """An unfinished box: where it begins, its group ("train/"), and its cells as text, with the group in each key."""

    start: Piece
    group: str = ""
    cells: dict[str, str] = field(default_factory=dict)


@adapter
class SB3Stdout(BaseAdapter):
    """Each box with a lower edge is one line of the log; the reader skips other text.

    Values keep three significant digits (float32 values more). A key above 36 characters ends in "..."."""

    name: ClassVar[str] = "sb3-stdout"
    describes: ClassVar[str] = "boxes that Stable-Baselines3 prints, also in its log.txt"
    quality: ClassVar[int] = 40
    landmark: ClassVar[bytes] = b"total_timesteps"
    keeps: ClassVar[str] = "every metric of the logger"
    loses: ClassVar[str] = "digits beyond 3; the end of keys longer than 36 characters; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(SB3Boxes()), joins=True, identify=by_keys(identity), phase=phase_of
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        grouped = b"| time/" in file.head  # other loggers print such boxes without groups
        return 90 if file.is_text and grouped and _CLOCK_ROW.search(file.head) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return _CLOCK_ROW.search(line) is not None

    def read(self) -> Log:
        log = parse_file(self, SB3Boxes()).log(precision=3)
        table = join_dumps(log.table)
        return replace(log, table=table, **identity(opening_of(table).keys))


class SB3Boxes:
    """Gathers the cells of a box until its lower edge."""

    def __init__(self) -> None:
        self._box: SB3Box | None = None

    def take(self, piece: Piece, sink: Sink) -> None:
        if piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken)
        elif _EDGE.fullmatch(piece.text):
            if self._box is not None:
                _take(sink, self._box)
            self._box = None
        elif (cells := _CELLS.fullmatch(piece.text)) is not None:
            box = self._box = self._box or SB3Box(piece)
            key, value = cells["key"], cells["value"]
            if key.endswith("/") and not value:
                box.group = key
            else:
                box.cells[(box.group if len(cells["indent"]) > 1 else "") + key] = value

    def finish(self, sink: Sink) -> None:
        if self._box is not None:
            start = self._box.start
            sink.reject(start.line, start.offset, "the box has no lower edge", start.text)


def _take(reading: Sink, box: SB3Box) -> None:
    try:
        step = to_step(box.cells.pop(CLOCK, None))
    except BadLine as error:
        reading.reject(box.start.line, box.start.offset, str(error), box.start.text)
        return
    values = {key: value for key, text in box.cells.items() if (value := number(text)) is not None}
    if step is None:
        reading.reject(box.start.line, box.start.offset, f"the box has no {CLOCK}", box.start.text)
    else:
        reading.row(step, values)
