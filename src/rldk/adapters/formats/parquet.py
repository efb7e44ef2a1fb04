"""Reads Parquet tables that name no trainer and have a column that counts steps."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.tabular import OPENING, identity_fields
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.source import File
from rldk.adapters.wire.table_layout import (
    SAMPLE_COLUMNS,
    ColumnLayout,
    find_counting_clock,
    find_named_clock,
    layout_of,
)
from rldk.core.extras import need
from rldk.core.records import BadLine, to_phase, to_step, to_time
from rldk.errors import MalformedInput, NotALog

if TYPE_CHECKING:
    pass

MAX_CELLS = 2**27  # of a table, 1 GiB as float64: a small file can unpack to any size
BATCH = 1 << 16


@adapter
class Parquet(BaseAdapter):
    """A null counts as missing, a NaN as stated. The adapter leaves out text and nested columns."""

    name: ClassVar[str] = "parquet"
    describes: ClassVar[str] = "Parquet table of metrics with a step column"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "every digit; null and NaN stay different"
    loses: ClassVar[str] = "configuration"

    @classmethod
    def sniff(cls, file: File) -> int:
        samples = all(name.encode() in file.head for name in SAMPLE_COLUMNS)
        return 20 if file.head.startswith(b"PAR1") and not samples else 0

    def read(self) -> Log:
        file = only_file(self)
        with need("parquet", "pyarrow"):
            import pyarrow as pa
            from pyarrow import parquet
        reading = Reading(self)
        try:
            with file.open() as stream, parquet.ParquetFile(stream) as table:
                header = [field.name for field in table.schema_arrow]
                layout = layout_of(header, _clock(table, header))
                cells = table.metadata.num_rows * len(header)
                if layout is None or layout.step is None or cells > MAX_CELLS:
                    problem = (
                        "has no column of steps beside metrics"
                        if cells <= MAX_CELLS
                        else f"has {cells} cells, which is too many"
                    )
                    raise NotALog(
                        f"{file.path} {problem}", hint="write one row for each step and one column for each metric"
                    )
                meta: dict[str, Any] = {}
                for batch in table.iter_batches(batch_size=BATCH):
                    _take_batch(reading, layout, batch)
                    meta = _identity(layout, batch) | meta
        except (pa.ArrowException, OSError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise MalformedInput(
                f"{file.path} is not a complete Parquet file: {why}", hint="check whether it is still being written"
            ) from None
        own = {} if find_named_clock(header) is not None else {"clock": header[layout.step]}
        return reading.log(meta=identity_fields(meta, self) | own)


def _clock(table: Any, header: list[str]) -> int | None:
    """The column of steps."""
    step = find_named_clock(header)
    if step is not None:
        return step
    first = next(table.iter_batches(batch_size=OPENING), None)
    rows = list(zip(*(column.to_pylist() for column in first.columns), strict=True)) if first is not None else []
    return find_counting_clock(header, rows)


def _identity(layout: ColumnLayout, batch: Any) -> dict[str, Any]:
    """The first value of each identity column that has one."""
    columns = ((name, batch.column(i).drop_null()) for i, name in layout.identity)
    return {name: column[0].as_py() for name, column in columns if len(column)}


def _take_batch(reading: Reading, layout: ColumnLayout, batch: Any) -> None:
    """Takes the rows of a record batch; a text column may hold numbers as text."""
    columns = [batch.column(i) for i in range(batch.num_columns)]
    metrics = [(name, _floats(columns[i])) for i, name in layout.metrics]
    told = [(name, *column) for name, column in metrics if column is not None]
    steps = columns[layout.step or 0].to_pylist()
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
    """The values, and which of them are present; None for a column without numbers."""
    import numpy as np
    import pyarrow as pa

    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if not any(check(column.type) for check in is_number):
        return None
    present = np.asarray(column.is_valid()).astype(bool)
    numbers = column.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy(zero_copy_only=False)
    return numbers.tolist(), present.tolist()
