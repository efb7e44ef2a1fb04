"""Reads logs whose columns have the user's own names, and guesses their metrics."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from typing import ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapters
from rldk.adapters.formats.tabular import SNIFFED, CsvTable, first_rows, read_table
from rldk.adapters.live.lineformat import OWN_NAMES, LineFormat
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.naming.keys import guess_metrics, says_metric
from rldk.adapters.reading import only_file
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import beginning, cell, records
from rldk.adapters.wire.table_layout import layout_of
from rldk.core.clocks import choose_clock
from rldk.core.model import Run
from rldk.core.records import step_or_none
from rldk.core.table import MAX_METRICS
from rldk.core.text import later
from rldk.errors import NotALog

_FEWEST = 10  # rows of numbers that make a table without a header
_GOAL = later(r"(?<![a-z])(?:rewards?|returns?|scores?)(?![a-z])", re.IGNORECASE)


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
        return known or (5 if loose_columns(file) or only_column(file) or bare_columns(file) else 0)

    def read(self) -> Log:
        file = only_file(self)
        scored = [(adapters.get(name).sniff(file), name) for name in self.formats if name in adapters]
        confidence, name = max(scored, default=(0, ""))
        if confidence > 0:
            return adapters.get(name)([file.path], **self.options).read()
        if loose_columns(file):
            return read_table(self)
        if only_column(file):
            return read_table(self, cut=partial(records, delimiter=","))
        if names := bare_columns(file):
            log = read_table(self, names)
            note = f"the table has no header: rldk calls its columns {', '.join(names[:6])}"
            return replace(log, notes=(*log.notes, note))
        raise NotALog(f"{self.source} is neither JSON nor CSV nor Parquet", hint="see rldk format-info")

    def load_run(self) -> Run:
        from rldk.adapters.naming.columns import to_run

        log = self.read()
        given = dict(self.options.get("field_map") or {})
        return to_run(log, self.origin, field_map=given | guess_metrics(opening_of(log.table), given))


def loose_columns(file: File) -> list[str]:
    """The names in the header of a table of numbers; empty when the text is not such a table."""
    found = first_rows(file) if file.is_text else None
    if found is None or len(found[0]) > MAX_METRICS:
        return []
    header, rows = found
    if len(header) == 1 and not says_metric(header):
        return []
    numbers = any(len(row) == len(header) and any(cell(text) is not None for text in row) for row in rows)
    return header if numbers and layout_of(header, None) is not None else []


def only_column(file: File) -> str:
    """The name of the only column of a table when the name has spaces ("Total Reward") and means a metric; else ""."""
    lines = [line.strip() for line in file.head.decode("utf-8", "replace").split("\n", SNIFFED)[:SNIFFED]]
    name, rows = lines[0], [line for line in lines[1:] if line]
    single = len(name.split()) > 1 and len(rows) > 1 and all(cell(row) is not None for row in rows)
    return name if single and file.is_text and cell(name) is None and says_metric([name]) else ""


def bare_columns(file: File) -> list[str]:
    """Names for the columns of a table of numbers without a header; empty when the text is not such a table.

    A first column that counts is the step. The only other column has the goal that the file name says, such as
    `rewards.csv`. Any other column is called after its place: what it holds only the user knows."""
    rows = (
        [[text.strip() for text in record.values] for record in beginning(file.head, SNIFFED)] if file.is_text else []
    )
    width = len(rows[0]) if rows else 0
    if len(rows) < _FEWEST or not 0 < width <= MAX_METRICS or file.head.lstrip().startswith((b"{", b"[", b"#")):
        return []
    cells = [[cell(text) for text in row] for row in rows if len(row) == width]
    numbers = [[number for number in row if number is not None] for row in cells]
    if len(numbers) < len(rows) - 1 or any(len(row) < width for row in numbers):
        return []
    counts = width > 1 and choose_clock({"step": [step_or_none(row[0]) for row in numbers]}, len(numbers)) is not None
    if width > 2 and not counts:
        return []
    each = counts and all(b[0] - a[0] == 1 for a, b in pairwise(numbers))  # rewards under 0, 1, 2, ...: of episodes
    names = [f"column_{i + 1}" for i in range(width)]
    if counts:
        names[0] = "step"
    goal = _GOAL.search(file.path.stem)
    if goal is not None and width - counts == 1:
        names[-1] = goal[0].lower()
        names[0] = "episode" if each else names[0]
    return names
