"""Reads tables with a row for each value: `step,name,value`, or `run,key,step,value` for several runs."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.downloads import header_of, pivot
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, beginning, cell, records
from rldk.adapters.wire.scalars import Scalars
from rldk.adapters.wire.table_layout import find_named_clock
from rldk.core.clocks import clock_rank
from rldk.core.records import TIME_KEYS, BadLine, step_or_none, to_step, to_time

SNIFFED = 20  # rows
MAX_RUNS = 200
_NAMES = ("name", "tag", "metric", "metric_name", "key", "variable")
_VALUES = ("value", "values", "metric_value")
_RUNS = ("run", "run_id", "run_name", "experiment", "trial", "seed")


class ColumnPlaces(NamedTuple):
    """The position of each column; `run` and `time` may be missing."""

    step: int
    name: int
    value: int
    run: int | None
    time: int | None


def places(header: list[str]) -> ColumnPlaces | None:
    """The positions of the columns of such a table; None for another table."""
    plain = [name.strip().lower().replace(" ", "_") for name in header]
    name, value, run = (next((plain.index(n) for n in known if n in plain), None) for known in (_NAMES, _VALUES, _RUNS))
    step = find_named_clock(plain)
    if step is None:
        step = next((i for i, n in enumerate(plain) if clock_rank(n) is not None), None)
    if step is None or name is None or value is None:
        return None
    return ColumnPlaces(step, name, value, run, next((plain.index(n) for n in TIME_KEYS if n in plain), None))


@adapter
class LongTable(BaseAdapter):
    """The values of a step make one row. Each named run is a log."""

    name: ClassVar[str] = "long-csv"
    describes: ClassVar[str] = "CSV with a row for each value (step, name, value), of one or several runs"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "every digit that was written, `nan` as NaN; wall time where there is a column of it"
    loses: ClassVar[str] = "earlier values where one name has several at one step; configuration"

    @classmethod
    def sniff(cls, file: File) -> int:
        at = places(header_of(file))
        rows = beginning(file.head, SNIFFED + 1)[1:] if at is not None else []
        if at is None or not rows:
            return 0
        whole = [row.values for row in rows if len(row.values) > max(at.step, at.name, at.value)]
        told = [row for row in whole if step_or_none(row[at.step].strip() or None) is not None]
        named = all(cell(row[at.name].strip()) is None and row[at.name].strip() for row in told)
        return (
            60 if told and named and 2 * sum(cell(row[at.value].strip()) is not None for row in told) > len(rows) else 0
        )

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The runs that the table names, in the order of their first rows."""
        at = places(header_of(file))
        if at is None or at.run is None:
            return []
        found: dict[str, None] = {}
        for record in records(file, None):
            if len(record.values) > at.run and len(found) <= MAX_RUNS:
                found.setdefault(record.values[at.run].strip())
        return [name for name in list(found)[1:] if name]

    def read(self) -> Log:
        file = only_file(self)
        header = header_of(file)
        at = places(header)
        reading, scalars = Reading(self), Scalars()
        wanted = self.options.get("run") or next(iter(self.runs(file)), None)
        for i, record in enumerate(records(file, None)):
            if i and at is not None and (at.run is None or record.values[at.run : at.run + 1] in ([], [wanted])):
                _take(record, at, len(header), reading, scalars)
        return pivot(reading, scalars, header[at.step] if at is not None else "")


def _take(record: Fields, at: ColumnPlaces, width: int, reading: Reading, scalars: Scalars) -> None:
    """Notes the value of a row, or refuses the row."""
    try:
        if record.problem or len(record.values) != width:
            raise BadLine(record.problem or f"{len(record.values)} fields, but the header has {width}")
        texts = [text.strip() for text in record.values]
        step, value = to_step(texts[at.step] or None), cell(texts[at.value])
        if step is None or value is None or not texts[at.name]:
            raise BadLine("the row lacks a step, a name or a number")
        time = to_time(texts[at.time] or None) if at.time is not None else float("nan")
        scalars.add(scalars.tag_id(texts[at.name]), step, value, time)
    except BadLine as error:
        reading.reject(record.line, record.offset, str(error), ",".join(record.values))
