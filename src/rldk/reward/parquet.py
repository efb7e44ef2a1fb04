"""Reads reward data from Parquet: numbers at once, text as it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rldk.adapters.records import rows_at_a_time
from rldk.adapters.tables.several import ANSWERS
from rldk.core.external.text_cells import GatheredColumns
from rldk.core.extras import need
from rldk.errors import MalformedInput, NoData
from rldk.reward.columns import find_columns
from rldk.reward.scorer_columns import list_column, scorer_columns
from rldk.reward.table import RawTable
from rldk.reward.texts import ArrowTexts

BATCH = 1 << 13  # rows that are held, and fewer where they are long
BATCH_BYTES = 1 << 23
BUFFER = 1 << 20  # bytes of a column that are read at a time; by default it is the column of a whole row group
MOST_ROWS = 50_000_000
LABELS = frozenset({"prompt", "prompt_id", "split", "id"})
COMPLETIONS = ("completion", "advantage")  # with these, other columns of numbers are reward functions (TRL)
NO_FUNCTIONS = frozenset({"step", "advantage", "reward"})


def read_parquet(path: Path, given: Mapping[str, str | None], *, as_texts: bool = False) -> RawTable:
    """The columns that mean something. `as_texts`: also names are read as they are used. Raises `MalformedInput`,
    `NoData` and `MissingExtra`."""
    with need("parquet", "pyarrow"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        with parquet.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        if not rows:
            raise NoData(f"{path} has no rows", hint="was it written?")
        if rows > MOST_ROWS:
            raise MalformedInput(f"{path} has more than {MOST_ROWS:,} rows", hint="give a sample of them")
        found = find_columns(schema.names, {})
        fields = {column: field for field, column in found.items()}
        fields |= {column: field for field, column in given.items() if column is not None and column in schema.names}
        table = RawTable(rows=rows, source=os.fspath(path), names=tuple(schema.names))
        functions = _functions(schema, found)
        scorers = scorer_columns(schema.names, given.get("scorers"))
        lists = [name for name in (list_column(schema.names),) if name]
        for column in dict.fromkeys([*fields, *functions, *scorers, *lists]):
            label = not as_texts and fields.get(column) in LABELS
            _take(table, path, column, schema.field(column).type, label=label)
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MalformedInput(f"{path} is no complete Parquet file: {why}", hint="was it copied whole?") from None
    return _summed(table, functions) if functions else table


def holds_rows_of_answers(path: Path, given: Mapping[str, str | None]) -> bool:
    """Whether a row holds several answers, or its reward stands in an object: such a table is read row by row."""
    with need("parquet", "pyarrow"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError):
        return False
    kinds = {name: schema.field(name).type for name in schema.names}
    if any(pa.types.is_list(kinds[name]) or pa.types.is_large_list(kinds[name]) for name in ANSWERS if name in kinds):
        return True
    known = find_columns(schema.names, {})
    there = "reward" in known or "chosen_score" in known or given.get("reward") in schema.names
    return not there and any(map(pa.types.is_struct, kinds.values()))


def _functions(schema: Any, found: Mapping[str, str]) -> list[str]:
    """The reward functions of TRL's completions, whose table has no total."""
    import pyarrow as pa

    if "reward" in found or not all(name in schema.names for name in COMPLETIONS):
        return []
    kinds = {name: schema.field(name).type for name in schema.names}
    return [n for n, kind in kinds.items() if n not in NO_FUNCTIONS and _is_number(pa, kind)]


def _summed(table: RawTable, functions: list[str]) -> RawTable:
    values = np.column_stack([table.numbers[name] for name in functions])
    none = np.isnan(values).all(axis=1)
    table.numbers["reward"] = np.where(none, np.nan, np.nansum(values, axis=1))
    words = f"the reward is the sum of {', '.join(functions)}, with the same weight"
    table.notes = (words,) if len(functions) > 1 else ()
    table.names = (*table.names, "reward")
    return table


def _is_number(pa: Any, kind: Any) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _take(table: RawTable, path: Path, column: str, kind: Any, *, label: bool) -> None:
    import pyarrow as pa

    if _is_number(pa, kind):
        data = _column(path, column)
        table.numbers[column] = data.cast(pa.float64(), safe=False).to_numpy()
        return
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    if text and label:
        data = _column(path, column, as_dictionary=True)
        whole = data.combine_chunks() if data.num_chunks != 1 else data.chunk(0)
        whole = whole.unify_dictionaries() if hasattr(whole, "unify_dictionaries") else whole
        whole = whole.chunk(0) if hasattr(whole, "num_chunks") else whole
        codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        table.labels[column] = (codes, _Lazily(whole.dictionary))
        return
    if text and not pa.types.is_dictionary(kind):
        table.texts[column] = ArrowTexts(partial(_batches, path, column), table.rows)
        return
    gathered = GatheredColumns([column])
    for batch in _batches(path, column):
        for value in batch.to_pylist():
            gathered.append({column: value})
    table.cells[column] = gathered.cells[column]


def _column(path: Path, column: str, *, as_dictionary: bool = False) -> Any:
    """A whole column. `parquet.read_table` would do the same, but loads pyarrow.dataset and with it pandas: 0.3 s."""
    from pyarrow import parquet

    with parquet.ParquetFile(path, read_dictionary=[column] if as_dictionary else None) as file:
        return file.read(columns=[column]).column(column)


def _batches(path: Path, column: str) -> Iterator[Any]:
    from pyarrow import parquet

    with parquet.ParquetFile(path, buffer_size=BUFFER) as file:
        size = rows_at_a_time(file.metadata, BATCH, BATCH_BYTES)
        for batch in file.iter_batches(batch_size=size, columns=[column]):
            yield batch.column(0)


class _Lazily(Sequence[Any]):
    """The values of a dictionary of Arrow, made when they are asked for."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: Any) -> Any:
        return self._values[place].as_py()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values.to_pylist())
