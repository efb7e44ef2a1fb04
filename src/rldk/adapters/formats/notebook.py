"""Reads the output of training cells in Jupyter notebooks, with the readers of tables and consoles."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter, adapters
from rldk.adapters.formats.shown_tables import page_log
from rldk.adapters.log import Log
from rldk.adapters.reading import check_strict, only_file
from rldk.adapters.source import File
from rldk.core.stream import BrokenStream, chunks
from rldk.core.table import Row, TableBuilder
from rldk.core.text import later
from rldk.errors import InputError, NoData, NotALog

MAX_BYTES = 256 << 20  # limit for a notebook, which rldk reads as a whole; GitHub accepts no file above 100 MB
MAX_RUNS = 200
_CONSOLES = ("-stdout", "-console")
# a command that plays with a policy that was trained before: `!python rollout.py ...`, `!rllib evaluate ...`
_PLAYS = later(
    r"^[ \t]*[!%](?:\S*python[\d.]* (?:-m )?|run |rllib )?"
    r"(?:\S*[/._])?(?:rollout|eval\w*|enjoy|play)(?:\.py)?(?:\s|$)",
    re.MULTILINE,
)
Text = str | list[str] | None


class _Data(Struct):
    html: Text = field(name="text/html", default=None)
    plain: Text = field(name="text/plain", default=None)


class _Output(Struct):
    text: Any = None
    data: _Data | None = None


class _Cell(Struct):
    cell_type: str = ""
    source: Text = None
    outputs: list[_Output] = []


class _Notebook(Struct):
    cells: list[_Cell]


class _Shown(File, frozen=True, dict=True):
    """A text that a cell showed, as a file."""

    data: bytes = b""

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


class _Part(Struct):
    """The log of one training in one cell; cells count from 1."""

    cell: int
    format: str
    log: Log
    rows: list[Row]

    def goes_on(self, later: _Part) -> bool:
        """Whether a later part continues the same run: it has the same format and names, and later steps."""
        mine, other = self.log.table.columns.keys(), later.log.table.columns.keys()
        alike = self.format == later.format and 2 * len(mine & other) >= len(mine | other)
        return alike and later.rows[0].step > self.rows[-1].step


@adapter
class Notebook(BaseAdapter):
    """Each run is a log. A cell in which the steps begin again is a run of its own.

    The adapter reads the tables of a cell, or else its printed text. Numbers have only the digits shown."""

    name: ClassVar[str] = "notebook"
    describes: ClassVar[str] = "Jupyter notebook with the tables and texts of a training"
    quality: ClassVar[int] = 40
    keeps: ClassVar[str] = "what the cells show: tables of the progress bar, printed lines, dicts and boxes"
    loses: ClassVar[str] = "digits beyond those shown; output that was cleared or cut; configuration"

    @classmethod
    def sniff(cls, file: File) -> int:
        head = file.head
        if not file.is_text or not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
            return 0
        return 70 if b'"cells"' in head and (b'"cell_type"' in head or b'"nbformat"' in head) else 0

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The runs, named by their first cell, in the order of the notebook."""
        try:
            return list(_runs(file))
        except InputError:
            return []

    def read(self) -> Log:
        runs = _runs(only_file(self))
        if not runs:
            raise NoData(f"no cell of {self.source} shows a training", hint="save the notebook with its output")
        wanted = self.options.get("run")
        return check_strict(runs[wanted] if wanted in runs else next(iter(runs.values())), self)


def _runs(file: File) -> dict[str, Log]:
    found = file.path.stat()
    return _read(file.path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1)  # a notebook of several runs is opened once for each
def _read(path: Path, size: int, mtime_ns: int) -> dict[str, Log]:  # noqa: ARG001 - what tells a changed file
    runs: list[list[_Part]] = []
    for part in _parts(_document(File(path))):
        if runs and runs[-1][-1].goes_on(part):
            runs[-1].append(part)
        elif len(runs) < MAX_RUNS:
            runs.append([part])
    named: dict[str, Log] = {}
    for parts in runs:
        name = f"cell-{parts[0].cell}"
        again = sum(key == name or key.startswith(f"{name}.") for key in named)
        named[f"{name}.{again + 1}" if again else name] = _joined(parts)
    return named


def _document(file: File) -> _Notebook:
    """The notebook as JSON. Raises `NotALog` for another file, or one larger than `MAX_BYTES`."""
    data = bytearray()
    try:
        for chunk in chunks(file):
            data += chunk
            if len(data) > MAX_BYTES:
                raise NotALog(f"{file.path} is larger than {MAX_BYTES >> 20} MiB", hint="remove its pictures first")
        return msgspec.json.decode(bytes(data), type=_Notebook)
    except (BrokenStream, msgspec.DecodeError, RecursionError) as error:
        raise NotALog(f"{file.path} is not a complete notebook: {error}", hint="save it again") from None


def _parts(document: _Notebook) -> Iterator[_Part]:
    for number, cell in enumerate(document.cells, 1):
        if not cell.outputs:
            continue
        logs = _tables(cell) or _printed(cell)
        plays = _PLAYS.search(_joined_text(cell.source)) is not None
        for form, log in logs:
            rows = [replace(row, phase="eval") if plays else row for row in log.table.rows()]
            yield from _restarts(_Part(number, form, log, rows))


def _tables(cell: _Cell) -> list[tuple[str, Log]]:
    """The tables of trainings in a cell."""
    page = "\n".join(_joined_text(output.data.html) for output in cell.outputs if output.data is not None)
    try:
        return [("table", page_log(page, Notebook([])))] if "<table" in page else []
    except NoData:
        return []


def _printed(cell: _Cell) -> list[tuple[str, Log]]:
    """The logs that a console reader finds in the texts of a cell, first in its streams."""
    streams = "".join(_joined_text(output.text) for output in cell.outputs)
    plain = [_joined_text(output.data.plain) for output in cell.outputs if output.data is not None]
    return [found for text in (streams, "\n".join(plain)) if (found := _console(text)) is not None]


def _console(text: str) -> tuple[str, Log] | None:
    if text.count("\n") < 2:
        return None
    data = text.encode("utf-8", "replace")
    file = _Shown(Path("cell"), data)
    kinds = [kind for kind in adapters if kind.lines is not None and kind.name.endswith(_CONSOLES)]
    scored = [(kind.sniff(file), kind.quality, kind.name) for kind in kinds]
    for confidence, _, name in sorted(scored, reverse=True):
        if not confidence:
            break
        reader = adapters.get(name)([])
        reader.files = (file,)
        try:
            return name, reader.read()
        except (NoData, NotALog):
            continue
    return None


def _restarts(part: _Part) -> Iterator[_Part]:
    """The part, cut where its steps begin again at the first one."""
    start = 0
    rows = part.rows
    for i in range(1, len(rows)):
        if rows[i].segment > rows[i - 1].segment and rows[i].step <= rows[start].step:
            yield _Part(part.cell, part.format, part.log, rows[start:i])
            start = i
    yield _Part(part.cell, part.format, part.log, rows[start:])


def _joined(parts: list[_Part]) -> Log:
    """The log of parts of one run."""
    builder = TableBuilder()
    rows = [row for part in parts for row in part.rows]
    segment, last = 0, None
    for row in rows:
        if row.phase == "train":
            segment += last is not None and row.step < last
            last = row.step
        builder.add(row.step, row.values, phase=row.phase, segment=segment, time=row.time)
    first = parts[0].log
    if len({id(part.log) for part in parts}) > 1 or len(first.table) > len(rows):
        first = replace(first, rejected_count=0, rejected=())  # it is unknown which run they belong to
    return replace(first, table=builder.build(), lines=len(rows) + first.rejected_count)


def _joined_text(text: Any) -> str:
    if isinstance(text, list):
        return "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""
