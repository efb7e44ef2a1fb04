"""Logs whose columns have names of the user's own: which metrics they most likely are."""

from __future__ import annotations

import json
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, adapters
from rldk.adapters.formats.tabular import CsvTable, layout_of
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.naming.keys import guessed
from rldk.adapters.reading import only_file, parsed
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import beginning, cell, records
from rldk.core.model import Run
from rldk.core.table import MAX_METRICS, MetricTable
from rldk.errors import NoData, NotALog

MAX_BYTES = 256 << 20  # of a JSON array, which is read whole
_LINES = 20  # a header and rows, one of which must have a number


class FlexibleAdapter(BaseAdapter):
    """Any table of numbers as text or Parquet: a name that says a metric in other words is taken for it.

    A CSV, or a JSON array of objects, needs no column of steps here: without one the row number counts."""

    name: ClassVar[str] = "flexible"
    describes: ClassVar[str] = "JSONL, CSV or Parquet with column names of the user's own"
    quality: ClassVar[int] = 10
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(CsvTable(counted=True)), identify=lambda *_: {}, guess=guessed
    )
    formats: ClassVar[tuple[str, ...]] = ("jsonl", "csv", "parquet")

    @classmethod
    def sniff(cls, file: File) -> int:
        known = max((adapters.get(name).sniff(file) for name in cls.formats if name in adapters), default=0)
        return known or (5 if file.is_text and (_is_array(file.head) or loose_columns(file)) else 0)

    def read(self) -> Log:
        file = only_file(self)
        scored = [(adapters.get(name).sniff(file), name) for name in self.formats if name in adapters]
        confidence, name = max(scored, default=(0, ""))
        if confidence > 0:
            return adapters.get(name)([file.path], **self.options).read()
        if loose_columns(file):
            return parsed(self, CsvTable(counted=True), records).log()
        return Log(table=_array_table(file, self.source))

    def load_run(self) -> Run:
        from rldk.adapters.naming.columns import to_run

        log = self.read()
        given = dict(self.options.get("field_map") or {})
        return to_run(log, self.origin, field_map=given | guessed(opening_of(log.table), given))


def loose_columns(file: File) -> list[str]:
    """The names in the header of a text that is a table of numbers; empty when it is none."""
    if not file.is_text or file.head.lstrip().startswith((b"{", b"[", b"#")):
        return []
    header, *rows = [[text.strip() for text in record.values] for record in beginning(file.head, _LINES)] or [[]]
    if not 1 < len(header) <= MAX_METRICS or any(cell(name) is not None for name in header):
        return []
    numbers = any(len(row) == len(header) and any(cell(text) is not None for text in row) for row in rows)
    return header if numbers and layout_of(header, counted=True) is not None else []


def _is_array(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"["


def _array_table(file: File, source: str) -> MetricTable:
    """A JSON array of objects, with the row number for a step where no key is one."""
    import pandas as pd

    from rldk.adapters.frame import frame_table

    if not file.is_text or not _is_array(file.head):
        raise NotALog(f"{source} is neither JSON nor CSV nor Parquet", hint="see rldk format-info")
    try:
        with file.open() as stream:
            frame = pd.DataFrame([row for row in json.loads(stream.read(MAX_BYTES)) if isinstance(row, dict)])
    except (ValueError, OSError, EOFError, RecursionError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotALog(f"{source} is no table: {why}", hint="see rldk format-info") from None
    table = frame_table(frame)
    if not len(table) or not table.columns:
        raise NoData(f"{source} has no numbers", hint="a column of numbers with a name on top is needed")
    return table
