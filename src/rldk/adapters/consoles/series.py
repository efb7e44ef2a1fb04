"""Reads rows of a pandas DataFrame that a loop prints one by one: names and numbers, with the dtype below."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats import dialect
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.goals import says_goal
from rldk.adapters.reading import ROUNDED, Sink, glimpse, parse_file, phase_of
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, clean, number
from rldk.core.clocks import clock_rank
from rldk.core.records import MAX_STEP, STEP_KEYS, step_or_none
from rldk.core.text import later

MAX_LINES = 1000  # of one Series; pandas shows 60 by default
_ITEM = later(r"(?P<name>[A-Za-z_%][^\n]{0,119}?) {2,120}(?P<value>[-+\d.][\w.+-]{0,40}|nan|NaN|inf)")
_END = later(r"(?:Name: (?P<name>[^,]{1,80}), )?(?:Length: \d{1,9}, )?dtype: (?:float|int)\d\d")


class PrintedSeries:
    """Reads each Series: named numbers that end with the line of their dtype. The step is the count in the Series, else
    the number in its name; the reader skips a Series with neither."""

    def __init__(self) -> None:
        self._start: Piece | None = None
        self._shown: dict[str, str] = {}

    def take(self, piece: Piece, sink: Sink) -> None:
        if piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken)
        elif (item := _ITEM.fullmatch(piece.text)) is not None and len(self._shown) < MAX_LINES:
            self._start = self._start or piece
            self._shown[item["name"].strip()] = item["value"]
            return
        elif (end := _END.fullmatch(piece.text)) is not None and self._start is not None:
            self._close(self._start, end["name"], sink)
        self._start, self._shown = None, {}

    def finish(self, sink: Sink) -> None:
        """Drops a Series without its last line, because it may be any text."""

    def _close(self, start: Piece, name: str | None, sink: Sink) -> None:
        values = {key: value for key, text in self._shown.items() if (value := number(text)) is not None}
        counts = [key for key in values if key.lower() in STEP_KEYS]
        counts += sorted(
            (key for key in values if clock_rank(key) is not None), key=lambda key: clock_rank(key) or (9, 9)
        )
        step = step_or_none(values.pop(counts[0])) if counts else step_or_none(name)
        if step is None or not values:
            return
        if step > MAX_STEP:
            sink.reject(start.line, start.offset, "the step is too large", start.text)
        else:
            sink.row(step, values, phase=phase_of(values))


@adapter
class PrintedSeriesConsole(BaseAdapter):
    """Each Series is one line of the log. A summary (count, mean, std, ...) does not count: none of its names states
    a goal of training."""

    name: ClassVar[str] = "series-console"
    describes: ClassVar[str] = "rows of a pandas table that a loop prints one by one"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "every number that is printed"
    loses: ClassVar[str] = "digits beyond those shown, often six; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(PrintedSeries()), identify=lambda opening, _: dialect.identity(opening, {})
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or b"dtype: " not in file.head:
            return 0
        rows = [(step, values.keys()) for step, values, _ in glimpse(PrintedSeries(), file.head)]
        return 70 if any(a[0] < b[0] and says_goal(a[1] & b[1]) for a, b in pairwise(rows)) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        item = _ITEM.fullmatch(clean(line)) if b"  " in line else None
        return item is not None and clock_rank(item["name"]) is not None

    def read(self) -> Log:
        reading = parse_file(self, PrintedSeries())
        reading.notes.append(ROUNDED)
        return dialect.with_identity(reading.log())
