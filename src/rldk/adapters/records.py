"""Reads a table of any form as records, one by one: JSON lines, one JSON document, CSV, Parquet, Arrow."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from rldk.adapters.tables.arrow import is_arrow, read_arrow
from rldk.adapters.tables.document import rows_of_document
from rldk.adapters.tables.folder import parts_of_table
from rldk.adapters.wire.delimited import SPACES, delimiter_of, with_point
from rldk.adapters.wire.document import documents, join_documents
from rldk.core.extras import need
from rldk.core.lines import LineSplitter
from rldk.core.records import BadLine, parse
from rldk.core.stream import BrokenStream, chunks, open_binary
from rldk.errors import MalformedInput, NoData, NotALog, UnreadableSource

MOST_JSON = 1 << 30  # bytes of a file that is one JSON document
MOST_CELL = 64 << 20  # characters of one cell of a CSV
BATCH = 1 << 12
MOST_BATCH = 1 << 25  # bytes of rows of Parquet that are held
TABLES = (".csv", ".tsv", ".tab")
LINES = (".jsonl", ".ndjson", ".jsonlines")
PACKED = (".gz", ".zst")
KINDS = "give JSON lines, JSON, CSV, Parquet, Arrow, or a folder of such files"


class UnreadRecord(str):
    """Why a record could not be read; it stands in the place of the record."""

    __slots__ = ()


def read_records(path: str | os.PathLike[str]) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the records of the file, each as a dict under the file's own names. The file is never held as a whole,
    unless it is one JSON document. Of a folder whose files are the parts of one table, such as a dataset of Hugging
    Face on disk, the records of all parts; `split` is the split that a part's name states.

    A record that cannot be read comes as an `UnreadRecord`, and the rest is read. Raises `UnreadableSource`, `NoData`
    for an empty file, `NotALog` for another kind of file, `MalformedInput` and `MissingExtra`."""
    path = Path(path)
    if path.is_dir():
        return _of_parts(path)
    if not path.is_file():
        raise UnreadableSource(f"{path} is no file", hint="check the path")
    with open_binary(path) as stream:
        head = stream.read(4096)
    if not head.strip():
        raise NoData(f"{path} is empty", hint="was it written?")
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if is_arrow(head):
        return read_arrow(path)
    form = text_form(head, path)
    if form == "document":
        return json_document(path)
    if form == "lines":
        return json_lines(path)
    if form == "table":
        return delimited(path)
    raise NotALog(f"{path} is no table", hint=KINDS)


def _of_parts(folder: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    parts = parts_of_table(folder)
    if not parts:
        raise NotALog(f"{folder} holds no table", hint=KINDS)
    return chain.from_iterable(_of_split(split, path) for split, path in parts)


def _of_split(split: str, path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    for record in read_records(path):
        yield (
            record if not split or isinstance(record, UnreadRecord) or "split" in record else {**record, "split": split}
        )


def text_form(head: bytes, path: Path) -> str:
    """What the text of a file is, by its first bytes: "document" (one JSON document), "lines" (JSON lines), "table"
    (CSV), or "" for anything else."""
    opening = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if opening[:1] in (b"{", b"["):
        return "document" if _is_one_document(opening) else "lines"
    if b"\0" in head:
        return ""
    if _suffix(path) in LINES:
        return "lines"
    return "table" if looks_like_a_table(head, path) else ""


def _is_one_document(opening: bytes) -> bool:
    """Whether the first line is no whole JSON value, and the second one does not begin an object. A list that fills the
    first line is a document unless a further line follows."""
    first, ended, rest = opening.partition(b"\n")
    following = rest.lstrip()
    if not ended:
        return opening.startswith(b"[")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return not (first.startswith(b"{") and following.startswith(b"{"))
    return first.startswith(b"[") and not following


def _suffix(path: Path) -> str:
    names = [suffix.lower() for suffix in path.suffixes]
    return next((name for name in reversed(names) if name not in PACKED), "")


def json_lines(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the object of each line that is not empty. An object alone in its file may stand for rows."""
    records = _json_lines(path)
    first = next(records, None)
    second = next(records, None)
    if second is None and isinstance(first, dict):
        yield from _only_objects(rows_of_document(first))
        return
    for record in (first, second):
        if record is not None:
            yield record
    yield from records


def _json_lines(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
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


def _only_objects(rows: Iterable[Any]) -> Iterator[dict[str, Any] | UnreadRecord]:
    return (row if isinstance(row, dict) else UnreadRecord("not an object") for row in rows)


def json_document(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the rows that the document stands for (`rows_of_document`). Of a document that is cut off, the whole rows
    before the cut, and then why it ends. Raises `MalformedInput` for what is no JSON, and for a document of more than
    1 GiB."""
    if path.stat().st_size > MOST_JSON:
        raise MalformedInput(f"{path} is one JSON document of more than 1 GiB", hint="write one object a line")
    try:
        with open_binary(path) as stream:
            text = stream.read(MOST_JSON).decode("utf-8", "replace").lstrip("\ufeff")
    except OSError as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint="write a list of objects") from None
    found, why = documents(text)
    if not found:
        raise MalformedInput(f"{path} is no JSON: {why}", hint="write a list of objects")
    rows = rows_of_document(join_documents(found))
    if why:
        rows = list(rows)
        if not any(isinstance(row, dict) for row in rows):
            raise MalformedInput(f"{path} is no JSON: {why}", hint="write a list of objects")
    yield from _only_objects(rows)
    if why:
        yield UnreadRecord(f"the document is cut off: {why}")


def looks_like_a_table(head: bytes, path: Path) -> bool:
    """Whether the first line of the file holds a comma, a tab or a semicolon; for a CSV, whether it is a line."""
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace").strip("\r")
    if not first.strip() or first.lstrip().startswith(("#", "<")):
        return False
    return _suffix(path) in TABLES or (delimiter_of(first) != SPACES and any(mark in first for mark in ",;\t"))


def delimited(path: Path) -> Iterator[dict[str, Any] | UnreadRecord]:
    """Yields the rows of a table whose columns commas, tabs or semicolons separate, by the names of its first row; an
    empty cell is None, and between semicolons a decimal comma is a point. A row with another number of cells is an
    `UnreadRecord`."""
    before = csv.field_size_limit(MOST_CELL)
    try:
        with (
            open_binary(path) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as text,
        ):
            first = text.readline()
            separator = delimiter_of(first.strip("\r\n"))
            separator = "," if separator == SPACES else separator
            yield from _rows(csv.reader(chain((first,), text), delimiter=separator), decimal=separator == ";")
    finally:
        csv.field_size_limit(before)


def _rows(reader: Iterator[list[str]], *, decimal: bool) -> Iterator[dict[str, Any] | UnreadRecord]:
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
            cells = map(with_point, row) if decimal else row
            # a column without a name is the index that pandas wrote
            yield {name: cell if cell != "" else None for name, cell in zip(header, cells, strict=True) if name}
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
