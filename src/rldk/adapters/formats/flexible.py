"""Reads logs whose columns have the user's own names, and guesses their metrics."""

from __future__ import annotations

from typing import ClassVar

from rldk.adapters.base import BaseAdapter, adapters
from rldk.adapters.formats.tabular import CsvTable, first_rows, layout_of, read_table
from rldk.adapters.live.lineformat import OWN_NAMES, LineFormat
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.naming.keys import guess_metrics
from rldk.adapters.reading import only_file
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import cell
from rldk.core.model import Run
from rldk.core.table import MAX_METRICS
from rldk.errors import NotALog


class FlexibleAdapter(BaseAdapter):
    """Reads any table of numbers as text or Parquet. A name that means a metric in other words becomes that metric.

    A CSV needs no column of steps: without one the row number is the step."""

    name: ClassVar[str] = OWN_NAMES
    describes: ClassVar[str] = "JSONL, CSV or Parquet with column names of your own"
    quality: ClassVar[int] = 10
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(CsvTable(eager=True)), identify=lambda *_: {}, guess=guess_metrics
    )
    formats: ClassVar[tuple[str, ...]] = ("jsonl", "json", "csv", "parquet")

    @classmethod
    def sniff(cls, file: File) -> int:
        known = max((adapters.get(name).sniff(file) for name in cls.formats if name in adapters), default=0)
        return known or (5 if loose_columns(file) else 0)

    def read(self) -> Log:
        file = only_file(self)
        scored = [(adapters.get(name).sniff(file), name) for name in self.formats if name in adapters]
        confidence, name = max(scored, default=(0, ""))
        if confidence > 0:
            return adapters.get(name)([file.path], **self.options).read()
        if loose_columns(file):
            return read_table(self)
        raise NotALog(f"{self.source} is neither JSON nor CSV nor Parquet", hint="see rldk format-info")

    def load_run(self) -> Run:
        from rldk.adapters.naming.columns import to_run

        log = self.read()
        given = dict(self.options.get("field_map") or {})
        return to_run(log, self.origin, field_map=given | guess_metrics(opening_of(log.table), given))


def loose_columns(file: File) -> list[str]:
    """The names in the header of a table of numbers; empty when the text is not such a table."""
    found = first_rows(file) if file.is_text else None
    if found is None or not 1 < len(found[0]) <= MAX_METRICS:
        return []
    header, rows = found
    numbers = any(len(row) == len(header) and any(cell(text) is not None for text in row) for row in rows)
    return header if numbers and layout_of(header, None) is not None else []
