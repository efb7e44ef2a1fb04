"""Tables that name no trainer: CSV and TSV with a header, and Parquet, each with a column that counts steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import numpy as np

from rldk.adapters.base import BaseAdapter, Log, adapter
from rldk.adapters.delimited import Fields, cell, records
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.rllib import RLlibCsv
from rldk.adapters.sb3 import SB3Csv
from rldk.adapters.source import File
from rldk.core.records import IDENTITY, STEP_KEYS, TIME_KEYS, BadLine, to_phase, to_step, to_time
from rldk.errors import MalformedInput, MissingExtra, NotALog

MAX_CELLS = 2**27  # of a Parquet table, 1 GiB as float64: a small file can unpack to any size
BATCH = 1 << 16
_STEPS = (*STEP_KEYS, "steps", "total_timesteps", "timesteps", "env_steps", "update", "episode", "round", "epoch")
_NAME_COLUMNS, _SAMPLE_COLUMNS = frozenset({"name", "tag", "metric", "key"}), frozenset({"prompt", "completion"})
_DELIMITERS = (",", "\t", ";")
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which column is what, by position: `metrics` are all that have no other role. `step` is always there."""

    step: int
    time: int | None
    phase: int | None
    metrics: tuple[tuple[int, str], ...]
    identity: tuple[tuple[int, str], ...]


def layout_of(header: Sequence[str]) -> Layout | None:
    """The layout of a table with these columns; None without a column of steps, or with one row a single value."""
    plain = [name.strip().lower().replace(" ", "_") for name in header]
    step = next((plain.index(name) for name in _STEPS if name in plain), None)
    long_form = "value" in plain and bool(_NAME_COLUMNS & set(plain))
    if step is None or long_form or _SAMPLE_COLUMNS & set(plain):
        return None
    time = next((plain.index(name) for name in TIME_KEYS if name in plain), None)
    phase = plain.index("phase") if "phase" in plain else None
    identity = tuple((i, name) for i, name in enumerate(plain) if name in IDENTITY)
    taken = {step, time, phase, *(i for i, _ in identity)}
    metrics = tuple((i, name.strip()) for i, name in enumerate(header) if i not in taken and name.strip())
    return Layout(step=step, time=time, phase=phase, metrics=metrics, identity=identity) if metrics else None


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


@adapter
class Csv(BaseAdapter):
    """A cell with a number is a value, "nan" a stated NaN, an empty cell or text nothing. A row needs a whole step."""

    name: ClassVar[str] = "csv"
    describes: ClassVar[str] = "CSV or TSV with a header and a step column"
    quality: ClassVar[int] = 20

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or SB3Csv.sniff(file) or RLlibCsv.sniff(file):
            return 0
        lines = file.head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").splitlines()
        if len(lines) < 2 or lines[0].lstrip().startswith(("{", "[", "#")):
            return 0
        delimiter = _delimiter(lines[0])
        header = [name.strip().strip('"') for name in lines[0].split(delimiter)]
        layout = layout_of(header)
        if layout is None or any(_NUMBER.fullmatch(name) for name in header):
            return 0
        cells = lines[1].split(delimiter)
        step = cells[layout.step].strip().strip('"') if len(cells) > layout.step else ""
        return 30 if len(cells) >= len(header) and (not step or _NUMBER.fullmatch(step)) else 0

    def read(self) -> Log:
        file = only_file(self)
        reading = Reading(self)
        layout, header, meta = None, [""], dict[str, Any]()
        first = file.head.split(b"\n", 1)[0].decode("utf-8", "replace")
        for record in records(file, _delimiter(first)):
            if layout is not None:
                _take(reading, layout, header, record)
                for i, name in layout.identity if len(record.values) == len(header) else ():
                    meta.setdefault(name, record.values[i])
                continue
            header = record.values
            layout = layout_of(header)
            if layout is None:
                raise NotALog(
                    f"{file.path} has no column of steps", hint=f"name one of its columns {', '.join(_STEPS[:3])}"
                )
        return reading.log(meta=_known(meta, self))


def _take(reading: Reading, layout: Layout, header: list[str], record: Fields) -> None:
    fields, problem = record.values, record.problem
    if not problem and len(fields) != len(header):
        torn = not record.whole and len(fields) < len(header)
        problem = "torn last line" if torn else f"{len(fields)} fields, the header has {len(header)}"
    try:
        step = None if problem else to_step(fields[layout.step].strip() or None)
        problem = problem or ("" if step is not None else "no step")
    except BadLine as error:
        step, problem = None, str(error)
    if problem or step is None:
        reading.reject(record.line, record.offset, problem, ",".join(fields))
        return
    values = {name: value for i, name in layout.metrics if (value := cell(fields[i].strip())) is not None}
    time = to_time(fields[layout.time].strip() or None) if layout.time is not None else float("nan")
    phase = to_phase(fields[layout.phase].strip()) if layout.phase is not None else "train"
    reading.row(step, values, phase=phase, time=time)


def _known(meta: dict[str, Any], adapter: BaseAdapter) -> dict[str, Any]:
    """The identity columns that a run keeps; the id that the table gives itself names the run."""
    if meta.get("run_id"):
        adapter.options.setdefault("run", str(meta["run_id"]))
    try:
        seed = {"seed": int(meta["seed"])} if meta.get("seed") not in (None, "") else {}
    except (ValueError, TypeError):
        seed = {}
    return seed | ({"git_sha": str(meta["git_sha"])} if meta.get("git_sha") else {})


@adapter
class Parquet(BaseAdapter):
    """A null is missing, a NaN in the column was stated. Text and nested columns are left out."""

    name: ClassVar[str] = "parquet"
    describes: ClassVar[str] = "Parquet table of metrics with a step column"
    quality: ClassVar[int] = 20

    @classmethod
    def sniff(cls, file: File) -> int:
        samples = all(name.encode() in file.head for name in _SAMPLE_COLUMNS)
        return 20 if file.head.startswith(b"PAR1") and not samples else 0

    def read(self) -> Log:
        file = only_file(self)
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise MissingExtra("parquet", "pyarrow") from None
        reading = Reading(self)
        try:
            with file.open() as stream, parquet.ParquetFile(stream) as table:
                header = [field.name for field in table.schema_arrow]
                layout = layout_of(header)
                cells = table.metadata.num_rows * len(header)
                if layout is None or cells > MAX_CELLS:
                    problem = "has no column of steps and metrics" if layout is None else f"has {cells} cells, too many"
                    raise NotALog(f"{file.path} {problem}", hint="write one row a step, one column a metric")
                meta: dict[str, Any] = {}
                for batch in table.iter_batches(batch_size=BATCH):
                    _take_batch(reading, layout, batch)
                    meta = _identity(layout, batch) | meta
        except (pa.ArrowException, OSError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise MalformedInput(
                f"{file.path} is no whole Parquet file: {why}", hint="was it still being written?"
            ) from None
        return reading.log(meta=_known(meta, self))


def _identity(layout: Layout, batch: Any) -> dict[str, Any]:
    """The first value of each identity column that has one."""
    columns = ((name, batch.column(i).drop_null()) for i, name in layout.identity)
    return {name: column[0].as_py() for name, column in columns if len(column)}


def _take_batch(reading: Reading, layout: Layout, batch: Any) -> None:
    """Takes the rows of a record batch; a text column may hold numbers as text."""
    columns = [batch.column(i) for i in range(batch.num_columns)]
    metrics = [(name, _floats(columns[i])) for i, name in layout.metrics]
    told = [(name, *column) for name, column in metrics if column is not None]
    steps = columns[layout.step].to_pylist()
    times = columns[layout.time].to_pylist() if layout.time is not None else None
    phases = columns[layout.phase].to_pylist() if layout.phase is not None else None
    for row, raw in enumerate(steps):
        try:
            step = to_step(raw)
        except BadLine as error:
            reading.reject(row + 1, 0, str(error), str(raw))
            continue
        if step is None:
            reading.reject(row + 1, 0, "no step")
            continue
        values = {name: numbers[row] for name, numbers, present in told if present[row]}
        time = times[row] if times is not None else None
        moment = to_time(time.isoformat() if isinstance(time, datetime) else time)
        reading.row(step, values, phase=to_phase(phases[row]) if phases else "train", time=moment)


def _floats(column: Any) -> tuple[list[float], list[bool]] | None:
    """The values and which of them are there, None for a column that holds no numbers."""
    import pyarrow as pa

    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if not any(check(column.type) for check in is_number):
        return None
    present = np.asarray(column.is_valid()).astype(bool)
    numbers = column.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy(zero_copy_only=False)
    return numbers.tolist(), present.tolist()
