"""Reads tables that name no trainer: CSV, TSV and aligned columns, with a header and a column that counts steps."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from math import nan
from typing import Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.rllib import RLlibCsv
from rldk.adapters.formats.sb3 import SB3Csv
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading, Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.columns import numbers_of_cells, steps_of_cells
from rldk.adapters.wire.delimited import SPACES, Fields, PlainRecords, beginning, blocks, cell, delimiter_of
from rldk.adapters.wire.table_layout import ColumnLayout, find_counting_clock, find_named_clock, has_twins, layout_of
from rldk.core.model import COUNTED
from rldk.core.numerals import cells_of
from rldk.core.records import MAX_STEP, BadLine, plan_of, step_or_none, to_phase, to_step, to_time
from rldk.core.text import later

SNIFFED = 20  # rows
BATCH = 512  # rows to put out together
MOST_WIDE = 1000  # columns of a table whose rows are decoded together
OPENING = 100  # rows that decide which column counts the steps
_NUMBER = later(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")
_PRINTED = later(r"\w ?[:=] ?[-+]?\d[\d.]*(?:[eE][-+]?\d+)?$")  # "Reward: 3.4": a printed line, no header


@adapter
class Csv(BaseAdapter):
    """A cell with a number is a value, and "nan" is a stated NaN; an empty cell or a text counts as missing. A row
    without a step gets the step of the row before it."""

    name: ClassVar[str] = "csv"
    describes: ClassVar[str] = "CSV, TSV or aligned columns with a header and a step column"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "every digit that was written, `nan` as NaN"
    loses: ClassVar[str] = "what an empty cell meant; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(CsvTable(eager=True)), identify=lambda *_: {}
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or SB3Csv.sniff(file) or RLlibCsv.sniff(file):
            return 0
        found = first_rows(file)
        if found is None:
            return 0
        header, rows = found
        step = find_named_clock(header)
        step = find_counting_clock(header, rows) if step is None else step
        if step is None or layout_of(header, step) is None:
            return 0
        told = rows[0][step].strip() if len(rows[0]) >= len(header) else "torn"
        return 30 if not told or step_or_none(told) is not None or _NUMBER.fullmatch(told) else 0

    def read(self) -> Log:
        return read_table(self)


def read_table(
    adapter: BaseAdapter, header: Sequence[str] = (), cut: Callable[[File], Iterator[Fields | PlainRecords]] = blocks
) -> Log:
    """The log in the one table of an adapter. It names the column of the steps, or notes that there is none.
    `header`: the names of the columns of a table that begins with its first row. `cut`: gives the records."""
    table = WholeTable(header)
    reading = parse_file(adapter, table, cut)
    return reading.log(
        meta=identity_fields(table.meta, adapter) | {"clock": table.clock}, total_steps=table.total_steps
    )


def first_rows(file: File) -> tuple[list[str], list[list[str]]] | None:
    """The header and the first rows of a possible table of numbers; None for another text.

    Columns aligned with spaces form a table only when every cell of the first rows is a number."""
    head = file.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"{", b"[", b"#{", b"# {")):
        return None
    found = [[text.strip() for text in record.values] for record in beginning(file.head, SNIFFED + 1)]
    if len(found) < 2 or any(_NUMBER.fullmatch(name) or _PRINTED.search(name) for name in found[0]):
        return None
    header, rows = unique_names(found[0]), found[1:]
    line = next((line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#")), b"")
    if delimiter_of(line.decode("utf-8", "replace")) != SPACES:
        return header, rows
    even = all(len(row) == len(header) and all(cell(text) is not None for text in row) for row in rows[:-1] or rows)
    return (header, rows) if len(header) > 1 and len(rows) > 1 and even else None


def unique_names(header: Sequence[str]) -> list[str]:
    """The names, made unique as pandas does it: a second `loss` becomes `loss.1`."""
    seen: dict[str, int] = {}
    made = []
    for name in header:
        count = seen[name] = seen.get(name, -1) + 1
        made.append(f"{name}.{count}" if count and name.strip() else name)
    return made


class CsvTable:
    """Reads the records of a table. `meta`: the first value of each identity column. A header applies to the rows
    after.

    The column of steps is the one with a usual name, else the one that `find_counting_clock` finds in the first
    `OPENING` rows. Without such a column the row number is the step, from 0 under each header. `eager`: rows are put
    out as they come. When later rows show another column of steps, `changed` becomes true, and the caller must take all
    rows again from `retell`."""

    delimiter = None

    def __init__(self, *, eager: bool = False) -> None:
        self.header: list[str] = []
        self.meta: dict[str, Any] = {}
        self.clock = COUNTED
        self.changed = False
        self.total_steps: int | None = None
        self._eager = eager
        self._opening: list[Fields] | None = []
        self._layout: ColumnLayout | None = None
        self._rows = self._last = 0

    def heads(self, record: Fields) -> bool:
        if not self.header or record.values == self.header:
            return True
        if record.problem or not record.whole or _has_number(record.values):
            return False
        if self._layout is not None and self._layout.step is None:
            return set(self.header) <= set(record.values)
        names = [text.strip() for text in record.values]
        return find_named_clock(names) is not None or self.clock in names

    def restart(self) -> None:
        """Prepares for all rows to come again, under the header just taken."""
        self._opening, self.total_steps, self._last = [], None, 0
        self._choose()

    def take(self, record: Fields, sink: Sink) -> None:
        if self.heads(record):
            self._head(record, sink)
            return
        if self._opening is None:
            self._put_later(record, sink)
            return
        self._opening.append(record)
        if self._eager:
            self._choose()
            if not self.changed:
                self._put(record, sink)
        if len(self._opening) >= OPENING and not self.changed:
            self._close(sink)

    def retell(self, sink: Sink) -> None:
        self.changed, self._rows, self._last = False, 0, 0
        for record in self._opening or ():
            self._put(record, sink)
        if len(self._opening or ()) >= OPENING:
            self._close(sink)

    def finish(self, sink: Sink) -> None:
        self._close(sink)

    def _put_later(self, record: Fields, sink: Sink) -> None:
        self._put(record, sink)

    def _head(self, record: Fields, sink: Sink) -> None:
        first = not self.header
        if not first:
            self._close(sink)
        self.header, self._rows = unique_names(record.values), 0
        if first:
            self._choose()
        else:
            step = find_named_clock(self.header)
            names = [name.strip() for name in self.header]
            if step is None and self.clock in names:
                step = names.index(self.clock)
            self._settle(step)

    def _choose(self) -> None:
        """Chooses the columns by the opening so far."""
        step = find_named_clock(self.header)
        rows = [record.values for record in self._opening or ()]
        if step is None:
            step = find_counting_clock(self.header, rows)
        put = len(rows) > 1 and self._eager
        before = self._layout
        self._settle(step)
        self.changed = put and self._layout != before
        told = [row[step] for row in rows if step is not None and len(row) > step]
        self.total_steps = next((plan for text in told if (plan := plan_of(text))), None)

    def _settle(self, step: int | None) -> None:
        self._layout = layout_of(self.header, step)
        self.clock = COUNTED if step is None else self.header[step].strip()

    def _close(self, sink: Sink) -> None:
        """Makes the choice final and puts out the rows that waited for it."""
        waiting, self._opening = self._opening or [], None
        if waiting and not self._eager:
            self._opening = waiting
            self._choose()
            self._opening = None
            for record in waiting:
                self._put(record, sink)

    def _put(self, record: Fields, sink: Sink) -> None:
        fields, layout = record.values, self._layout
        if layout is None:
            sink.reject(record.line, record.offset, "the table has no column of numbers", ",".join(fields))
            return
        for i, name in layout.identity if len(fields) == len(self.header) else ():
            self.meta.setdefault(name, fields[i])
        problem, step = record.problem or _width(self.header, fields, whole=record.whole), self._rows
        try:
            if layout.step is not None and not problem:
                told = to_step(fields[layout.step].strip() or None)
                step = self._last if told is None else told
        except BadLine as error:
            problem = str(error)
        cells = layout.metrics if not problem else ()
        values = {name: value for i, name in cells if (value := cell(fields[i].strip())) is not None}
        if not values and not problem and (layout.step is None or not fields[layout.step].strip()):
            problem = "no number"
        if problem:
            sink.reject(record.line, record.offset, problem, ",".join(fields))
            return
        time = to_time(fields[layout.time].strip() or None) if layout.time is not None else float("nan")
        phase = to_phase(fields[layout.phase].strip()) if layout.phase is not None else "train"
        self._rows, self._last = self._rows + 1, step
        sink.row(step, values, phase=phase, time=time)


class WholeTable(CsvTable):
    """The same for a file that is read to its end: it puts out rows column by column, `BATCH` rows at a time."""

    def __init__(self, header: Sequence[str] = ()) -> None:
        super().__init__()
        self._batch: list[Fields] = []
        if header:
            self.header = list(header)
            self._choose()

    def finish(self, sink: Sink) -> None:
        self._flush(sink)
        super().finish(sink)

    def _head(self, record: Fields, sink: Sink) -> None:
        self._flush(sink)
        super()._head(record, sink)

    def take(self, record: Fields | PlainRecords, sink: Sink) -> None:
        if isinstance(record, PlainRecords):
            if not self._put_block(record, sink):
                for each in record.records():
                    self.take(each, sink)
            return
        first = record.values[0]
        if self._opening is None and first.isdecimal() and first != self.header[0]:  # no header: `heads`, for most rows
            self._put_later(record, sink)
        else:
            super().take(record, sink)

    def _put_later(self, record: Fields, sink: Sink) -> None:
        self._batch.append(record)
        if len(self._batch) >= BATCH:
            self._flush(sink)

    def _flush(self, sink: Sink) -> None:
        batch, self._batch = self._batch, []
        width = len(self.header)
        good = [record for record in batch if not record.problem and len(record.values) == width]
        together = isinstance(sink, Reading) and self._put_columns([record.values for record in good], sink)
        for record in batch:
            if not together or record.problem or len(record.values) != width:
                self._put(record, sink)

    def _put_block(self, block: PlainRecords, sink: Sink) -> bool:
        """Puts out the rows of a block of nothing but numbers, without a text for each. Otherwise it returns False."""
        layout, width = self._layout, len(self.header)
        if self._opening is not None or layout is None or layout.step is None:
            return False
        if layout.time is not None or layout.phase is not None or layout.identity:
            return False
        if width > MOST_WIDE or len(layout.metrics) < width - 1 or has_twins(layout) or not isinstance(sink, Reading):
            return False
        cells = cells_of(block.lines.block, width, block.delimiter)
        if cells is None or not (abs(cells[:, layout.step]) <= MAX_STEP).all() or (cells[:, layout.step] % 1).any():
            return False
        self._flush(sink)
        steps = cells[:, layout.step].astype("int64").tolist()
        given = (cells == cells).any(axis=0)
        sink.rows(
            steps,
            {name: array("d", cells[:, i].tobytes()) for i, name in layout.metrics if given[i]},
            phases=["train"] * len(steps),
            times=[nan] * len(steps),
            stated={},
        )
        self._rows, self._last = self._rows + len(steps), steps[-1]
        return True

    def _put_columns(self, rows: list[list[str]], sink: Reading) -> bool:
        """Puts out rows that all have a step. When one has none, it puts out nothing and returns False."""
        layout = self._layout
        if not rows or layout is None or layout.step is None or has_twins(layout):
            return False
        texts = list(zip(*rows, strict=True))
        try:
            steps = steps_of_cells(texts[layout.step])
        except ValueError:
            return False
        phases = texts[layout.phase] if layout.phase is not None else [""] * len(rows)
        times = texts[layout.time] if layout.time is not None else ()
        columns, stated = {}, {}
        for i, name in layout.metrics:
            columns[name], stated[name] = numbers_of_cells(texts[i])
        sink.rows(
            steps,
            {name: column for name, column in columns.items() if column.count(None) < len(column)},
            phases=[to_phase(text.strip()) for text in phases],
            times=[to_time(text.strip() or None) for text in times] if layout.time is not None else [nan] * len(rows),
            stated={name: told for name, told in stated.items() if told},
        )
        for i, name in layout.identity:
            self.meta.setdefault(name, texts[i][0])
        self._rows, self._last = self._rows + len(rows), steps[-1]
        return True


def _has_number(texts: Sequence[str]) -> bool:
    """Whether one of these texts is a number; usually the first one is."""
    return texts[0].isdecimal() or any(_NUMBER.fullmatch(text.strip()) for text in texts)


def _width(header: Sequence[str], fields: Sequence[str], *, whole: bool) -> str:
    """The fault in the number of fields; "" without a fault."""
    if len(fields) == len(header):
        return ""
    torn = not whole and len(fields) < len(header)
    return "the last line is torn" if torn else f"{len(fields)} fields, but the header has {len(header)}"


def identity_fields(meta: dict[str, Any], adapter: BaseAdapter) -> dict[str, Any]:
    """The identity columns that a run keeps. An id in the table names the run."""
    if meta.get("run_id"):
        adapter.options.setdefault("run", str(meta["run_id"]))
    try:
        seed = {"seed": int(meta["seed"])} if meta.get("seed") not in (None, "") else {}
    except (ValueError, TypeError):
        seed = {}
    return seed | ({"git_sha": str(meta["git_sha"])} if meta.get("git_sha") else {})
