"""Tables that name no trainer: CSV and TSV with a header, one column of which counts steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Struct

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.rllib import RLlibCsv
from rldk.adapters.formats.sb3 import SB3Csv
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Sink, only_file, parsed
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, beginning, cell, records
from rldk.core.records import IDENTITY, STEP_KEYS, TIME_KEYS, BadLine, to_phase, to_step, to_time
from rldk.errors import NotALog

_STEPS = (*STEP_KEYS, "steps", "total_timesteps", "timesteps", "env_steps", "update", "episode", "round", "epoch")
_NAME_COLUMNS, SAMPLE_COLUMNS = frozenset({"name", "tag", "metric", "key"}), frozenset({"prompt", "completion"})
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")


class Layout(Struct, frozen=True, kw_only=True):
    """Which column is what, by position: `metrics` are all that have no other role. `step`: None where rows count."""

    step: int | None
    time: int | None
    phase: int | None
    metrics: tuple[tuple[int, str], ...]
    identity: tuple[tuple[int, str], ...]


def layout_of(header: Sequence[str], *, counted: bool = False) -> Layout | None:
    """The layout of a table with these columns; None with one row a single value, and without a column of steps unless
    rows are `counted` then."""
    plain = [name.strip().lower().replace(" ", "_") for name in header]
    step = next((plain.index(name) for name in (STEP_KEYS if counted else _STEPS) if name in plain), None)
    long_form = "value" in plain and bool(_NAME_COLUMNS & set(plain))
    if (step is None and not counted) or long_form or SAMPLE_COLUMNS & set(plain):
        return None
    time = next((plain.index(name) for name in TIME_KEYS if name in plain), None)
    phase = plain.index("phase") if "phase" in plain else None
    identity = tuple((i, name) for i, name in enumerate(plain) if name in IDENTITY)
    taken = {step, time, phase, *(i for i, _ in identity)}
    metrics = tuple((i, name.strip()) for i, name in enumerate(header) if i not in taken and name.strip())
    return Layout(step=step, time=time, phase=phase, metrics=metrics, identity=identity) if metrics else None


@adapter
class Csv(BaseAdapter):
    """A cell with a number is a value, "nan" a stated NaN, an empty cell or text nothing. A row needs a whole step."""

    name: ClassVar[str] = "csv"
    describes: ClassVar[str] = "CSV or TSV with a header and a step column"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "every digit that was written, `nan` as NaN"
    loses: ClassVar[str] = "what an empty cell meant; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(source=lambda: TableRows(CsvTable()), identify=lambda *_: {})

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or SB3Csv.sniff(file) or RLlibCsv.sniff(file):
            return 0
        if file.head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[", b"#")):
            return 0
        header, *rows = [[text.strip() for text in record.values] for record in beginning(file.head, 2)] or [[]]
        layout = layout_of(header)
        if not rows or layout is None or layout.step is None or any(_NUMBER.fullmatch(name) for name in header):
            return 0
        step = rows[0][layout.step] if len(rows[0]) >= len(header) else "torn"
        return 30 if not step or _NUMBER.fullmatch(step) else 0

    def read(self) -> Log:
        table = CsvTable(str(only_file(self).path))
        reading = parsed(self, table, records)
        return reading.log(meta=known(table.meta, self))


class CsvTable:
    """The records of a table. `meta`: the first value of each identity column. A header holds for what follows it.

    Without a column of steps rows are `counted`, anew under each header; else that raises `NotALog`."""

    delimiter = None

    def __init__(self, source: str = "the table", *, counted: bool = False) -> None:
        self.header: list[str] = []
        self.meta: dict[str, Any] = {}
        self._source = source
        self._counted = counted
        self._rows = 0
        self._layout: Layout | None = None

    def heads(self, record: Fields) -> bool:
        if not self.header or record.values == self.header:
            return True
        if self._counted:
            return set(self.header) <= set(record.values)
        layout = None if record.problem or not record.whole else layout_of(record.values)
        return layout is not None and not any(_NUMBER.fullmatch(text.strip()) for text in record.values)

    def take(self, record: Fields, sink: Sink) -> None:
        if self.heads(record):
            self.header, self._rows = record.values, 0
            self._layout = layout_of(record.values, counted=self._counted)
            if self._layout is None:
                known = ", ".join(_STEPS[:3])
                raise NotALog(f"{self._source} has no column of steps", hint=f"name one of its columns {known}")
        elif self._layout is not None:
            self._rows += _take(sink, self._layout, self.header, record, self._rows)
            for i, name in self._layout.identity if len(record.values) == len(self.header) else ():
                self.meta.setdefault(name, record.values[i])

    def finish(self, sink: Sink) -> None:
        """Nothing is ever left open."""


def _take(sink: Sink, layout: Layout, header: list[str], record: Fields, count: int) -> bool:
    """Whether the record is a row, which it then puts out; `count` is its step where no column says one."""
    fields, problem = record.values, record.problem
    if not problem and len(fields) != len(header):
        torn = not record.whole and len(fields) < len(header)
        problem = "torn last line" if torn else f"{len(fields)} fields, the header has {len(header)}"
    step: int | None = count
    try:
        if layout.step is not None and not problem:
            step = to_step(fields[layout.step].strip() or None)
            problem = "" if step is not None else "no step"
    except BadLine as error:
        problem = str(error)
    cells = layout.metrics if not problem else ()
    values = {name: value for i, name in cells if (value := cell(fields[i].strip())) is not None}
    if layout.step is None and not values:
        problem = problem or "no number"
    if problem or step is None:
        sink.reject(record.line, record.offset, problem, ",".join(fields))
        return False
    time = to_time(fields[layout.time].strip() or None) if layout.time is not None else float("nan")
    phase = to_phase(fields[layout.phase].strip()) if layout.phase is not None else "train"
    sink.row(step, values, phase=phase, time=time)
    return True


def known(meta: dict[str, Any], adapter: BaseAdapter) -> dict[str, Any]:
    """The identity columns that a run keeps; the id that the table gives itself names the run."""
    if meta.get("run_id"):
        adapter.options.setdefault("run", str(meta["run_id"]))
    try:
        seed = {"seed": int(meta["seed"])} if meta.get("seed") not in (None, "") else {}
    except (ValueError, TypeError):
        seed = {}
    return seed | ({"git_sha": str(meta["git_sha"])} if meta.get("git_sha") else {})
