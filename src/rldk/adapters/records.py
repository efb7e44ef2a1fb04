"""Reads a table of any form as records, one by one: JSON lines, one JSON document, CSV, Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rldk.core.extras import need
from rldk.core.lines import LineSplitter
from rldk.core.records import BadLine, parse
from rldk.core.stream import BrokenStream, chunks, open_binary
from rldk.errors import MalformedInput, NoData, NotALog, UnreadableSource

MOST_JSON = 1 << 30  # bytes of a file that is one JSON document
MOST_CELL = 64 << 20  # characters of one cell of a CSV
BATCH = 1 << 12
MOST_BATCH = 1 << 25  # bytes of rows of Parquet that are held
SEPARATORS = {".tsv": "\t", ".tab": "\t"}
LISTS = ("rows", "data", "samples", "results", "records", "examples")  # of a document that is an object


class UnreadRecord(str):
    """Why a record could not be read; it stands in the place of the record."""

    __slots__ = ()


def read_records(path: str | os.PathLike[str]) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the records of the file, each as a dict under the file's own names. The file is never held as a whole,
    unless it is one JSON document.

    A record that cannot be read comes as an `UnreadRecord`, and the rest is read. Raises `UnreadableSource`, `NoData`
    for an empty file, `NotALog` for another kind of file, `MalformedInput` and `MissingExtra`."""
    path = Path(path)
    if not path.is_file():
        raise UnreadableSource(f"{path} is no file", hint="check the path")
    with open_binary(path) as stream:
        head = stream.read(4096)
    if not head.strip():
        raise NoData(f"{path} is empty", hint="was it written?")
    opening = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if opening.startswith(b"[") or (opening.startswith(b"{") and _is_one_document(opening)):
        return json_document(path)
    if opening.startswith(b"{"):
        return json_lines(path)
    if b"\0" not in head and looks_like_a_table(head, path):
        return delimited(path)
    raise NotALog(f"{path} is no table", hint="give JSON lines, JSON, CSV or Parquet")


def _is_one_document(opening: bytes) -> bool:
    """Whether the first line is not yet a whole object."""
    first = opening.split(b"\n", 1)[0].strip()
    return first == b"{"


def json_lines(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the object of each line that is not empty."""
    splitter = LineSplitter()
    with suppress(BrokenStream):
        for chunk in chunks(path):
            yield from _parsed(splitter.feed(chunk).lines)
    yield from _parsed(splitter.finish().lines)


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any] | UnreadRecord]:
    for line in lines:
        if line.strip():
            try:
                yield parse(line)
            except BadLine as error:
                yield UnreadRecord(str(error))


def json_document(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the objects of a list, or of the list that an object holds; of an object of columns, its rows; else the
    object itself. Raises `MalformedInput` for what is no JSON, and for a document of more than 1 GiB."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise MalformedInput(f"{path} is one JSON document of more than 1 GiB", hint="write one object a line")
        with open_binary(path) as stream:
            found = json.loads(stream.read(MOST_JSON).decode("utf-8", "replace").lstrip("\ufeff"))
    except (ValueError, RecursionError, OSError) as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint="write a list of objects") from None
    for row in _rows_of_object(found) if isinstance(found, dict) else found:
        yield row if isinstance(row, dict) else UnreadRecord("not an object")


def _rows_of_object(found: dict[str, Any]) -> Iterable[Any]:
    """The rows that one object stands for: a list of objects in it, or its columns, or the object alone."""
    named: list[Any] | None = next((found[key] for key in LISTS if isinstance(found.get(key), list)), None)
    if named is not None and any(isinstance(row, dict) for row in named):
        return named
    columns = {key: value for key, value in found.items() if isinstance(value, list)}
    lengths = {len(value) for value in columns.values()}
    rest = {key: value for key, value in found.items() if key not in columns}
    if len(columns) > max(1, len(rest)) and len(lengths) == 1 and max(lengths) > 1:  # else one sample with its tokens
        return ({**rest, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True))
    return [found] if named is None else named


def looks_like_a_table(head: bytes, path: Path) -> bool:
    """Whether the first line of the file holds the separator that its suffix stands for."""
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = SEPARATORS.get(path.suffix.lower(), ",")
    return separator in first and not first.lstrip().startswith(("#", "<"))


def delimited(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the rows of a CSV or TSV by the names of its first row; an empty cell is None. A row with another number
    of cells is an `UnreadRecord`."""
    separator = SEPARATORS.get(path.suffix.lower(), ",")
    before = csv.field_size_limit(MOST_CELL)
    try:
        with (
            open_binary(path) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as text,
        ):
            yield from _rows(csv.reader(text, delimiter=separator))
    finally:
        csv.field_size_limit(before)


def _rows(reader: Iterator[list[str]]) -> Iterator[dict[str, Any] | UnreadRecord]:
    header = next(reader, [])
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield UnreadRecord(str(error))
            continue
        if len(row) == len(header):
            yield {name: cell if cell != "" else None for name, cell in zip(header, row, strict=True)}
        elif row:
            yield UnreadRecord(f"{len(row)} cells instead of {len(header)}")


def rows_at_a_time(metadata: Any, most: int = BATCH, most_bytes: int = MOST_BATCH) -> int:
    """How many rows of a Parquet file are held: at most 4096, and fewer where they are long: about 32 MB."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    longest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=0.0)
    return max(1, min(most, int(most_bytes / max(1.0, longest))))


def _parquet(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    with need("parquet", "pyarrow"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows_at_a_time(file.metadata)):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MalformedInput(f"{path} is no complete Parquet file: {why}", hint="was it copied whole?") from None
