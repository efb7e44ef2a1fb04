"""The fingerprint of a dataset: exact, over every row, the same for the same content."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from rldk.core.extras import need
from rldk.errors import MalformedInput, NotALog, UnreadableSource
from rldk.provenance.fingerprints import arrow
from rldk.provenance.fingerprints.arrays import array_header, array_leaves, rows_in_leaf, tensor_array
from rldk.provenance.fingerprints.canonical import canonical
from rldk.provenance.fingerprints.digest import ENCODING, ROW_BYTES, Hash, combined, hash_maker
from rldk.provenance.fingerprints.tree import LEAF_ROWS, RowTree, row_digest, tree_root, unordered_root

LINES = frozenset({".jsonl", ".ndjson"})
MAX_LINE = 64 << 20
BATCH = 65_536


class DatasetFingerprint(Struct, frozen=True, kw_only=True):
    """What a dataset is.

    `digest`: of all rows in their order, with the names and types of the columns. `kind`: records, table, array or
    files; the same rows as records and as a table have different digests. `rows`: how many; of files, how many files.
    `columns`: names, where there are some. `leaf_rows`, `leaves`: rows in a leaf and the digests of the leaves, with
    which a changed row is found. `row_digests`: 16 bytes each, one after another, only where they were asked for, and
    `unordered`: a digest of the rows in any order, likewise. `sampled`: None, or of how many rows from the start this
    is the digest; it never equals that of the whole."""

    digest: str
    kind: str
    algorithm: str
    encoding: str = ENCODING
    rows: int
    columns: tuple[str, ...] = ()
    leaf_rows: int = LEAF_ROWS
    leaves: tuple[bytes, ...] = ()
    row_digests: bytes | None = None
    unordered: str | None = None
    sampled: int | None = None


class _Job(Struct, frozen=True, kw_only=True):
    """What was asked for. `keep`: whether the digests of rows are kept; `only`: in these leaves, None for all. `each`:
    is told of rows that were read."""

    algorithm: str
    make: Callable[[], Hash]
    keep: bool
    most: int | None
    only: frozenset[int] | None
    each: Callable[[int], None]


def fingerprint(
    data: Any,
    *,
    algorithm: str = "sha256",
    row_digests: bool | Collection[int] = False,
    max_rows: int | None = None,
    each: Callable[[int], None] | None = None,
) -> DatasetFingerprint:
    """The fingerprint of a dataset.

    `data`: a path (JSON lines, CSV, Parquet, any other file, a directory), a list of records, an array of NumPy, a
    tensor or a Dataset of torch, a data frame of pandas or polars, a table of Arrow, a dataset of Hugging Face, or any
    iterable of records. `row_digests`: also keeps a digest of each row, for `difference`; given as numbers of leaves,
    the rows in other leaves get stand-ins, which serve to compare datasets of as many rows. `max_rows`: looks at so
    many rows only, and says so in the result; an iterable without an end needs it. `each`: is called now and then with
    the number of rows, or of files, that were read since. Raises `MalformedInput` that names
    the first value without content, and `UnreadableSource` for a path that cannot be read."""
    only = None if isinstance(row_digests, bool) else frozenset(row_digests)
    job = _Job(
        algorithm=algorithm,
        make=hash_maker(algorithm),
        keep=only is not None or bool(row_digests),
        most=max_rows,
        only=only,
        each=each or _ignore,
    )
    if isinstance(data, str | os.PathLike):
        return _of_path(Path(data), job)
    module = type(data).__module__.partition(".")[0]
    if module == "numpy" and hasattr(data, "dtype"):
        return _of_array(data, array_header(data), job)
    if module == "torch" and hasattr(data, "detach"):
        array, name = tensor_array(data)
        return _of_array(array, ("tensor", name, "x".join(map(str, data.shape))), job)
    if module == "polars" and hasattr(data, "collect"):
        raise MalformedInput("a polars LazyFrame is a plan and has no rows yet", hint="give what its collect() returns")
    if module in ("pandas", "polars") and hasattr(data, "columns"):
        return _of_table(arrow.frame_table(data), job)
    if module == "pyarrow":
        return _of_table(data, job)
    if module == "datasets" and hasattr(data, "with_format") and hasattr(data, "num_rows"):
        return _of_hugging_face(data, job)
    if isinstance(data, Mapping | bytes):
        raise MalformedInput(f"a {type(data).__name__} is no dataset", hint="give its rows as a list, or a table")
    return _of_records(_items(data), job)


def _ignore(_: int) -> None:
    pass


def _of_path(path: Path, job: _Job) -> DatasetFingerprint:
    try:
        if path.is_dir():
            return _of_files(path, job)
        suffix = path.suffix.lower()
        if suffix == ".parquet":
            return _of_parquet(path, job)
        if suffix in LINES:
            return _of_records(_json_lines(path), job)
        if suffix in (".csv", ".tsv"):
            return _of_records(_cells(path, "\t" if suffix == ".tsv" else ","), job)
        if suffix == ".npy":
            import numpy as np

            array = np.load(path, mmap_mode="r", allow_pickle=False)
            return _of_array(array, array_header(array), job)
        return _of_files(path, job)
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None


def _of_records(rows: Iterable[Any], job: _Job) -> DatasetFingerprint:
    tree, columns = RowTree(job.make, keep=job.keep), dict[str, None]()
    more = iter(rows)
    for i, row in enumerate(itertools.islice(more, job.most)):
        tree.add(canonical(row, f"row {i}"))
        if i % LEAF_ROWS == LEAF_ROWS - 1:
            job.each(LEAF_ROWS)
        if isinstance(row, Mapping) and i < BATCH:
            columns.update(dict.fromkeys(map(str, row)))
    cut = job.most is not None and next(more, more) is not more
    return DatasetFingerprint(
        digest=tree.root(_header("records", tree.count if cut else None)),
        kind="records",
        algorithm=job.algorithm,
        rows=tree.count,
        columns=tuple(columns),
        leaves=tuple(tree.leaves),
        row_digests=None if tree.rows is None else bytes(tree.rows),
        unordered=None if tree.rows is None else unordered_root(job.make, bytes(tree.rows)),
        sampled=tree.count if cut else None,
    )


def _of_array(array: Any, header: tuple[str, ...], job: _Job) -> DatasetFingerprint:
    count = len(array) if array.ndim else 1
    cut = job.most is not None and job.most < count
    part = array[: job.most] if cut else array
    leaves, digests = _kept(array_leaves(part, job.make), lambda leaf: (row.tobytes() for row in leaf), job)
    rows = len(part) if array.ndim else 1
    return DatasetFingerprint(
        digest=tree_root(job.make, (*_header("array", rows if cut else None), *header), rows, leaves),
        kind="array",
        algorithm=job.algorithm,
        rows=rows,
        leaf_rows=rows_in_leaf(array.itemsize * (array.size // max(1, count))),
        leaves=tuple(leaves),
        row_digests=digests,
        unordered=_unordered(digests, job),
        sampled=rows if cut else None,
    )


def _of_table(table: Any, job: _Job) -> DatasetFingerprint:
    batches = [table] if hasattr(table, "num_rows") and not hasattr(table, "to_batches") else None
    if batches is None and not hasattr(table, "to_batches"):
        raise MalformedInput(f"a {type(table).__name__} of Arrow is no table", hint="give a Table or a RecordBatch")
    return _of_batches(table.schema, batches or table.to_batches(max_chunksize=BATCH), table.num_rows, job)


def _of_parquet(path: Path, job: _Job) -> DatasetFingerprint:
    with need("parquet", "pyarrow"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path) as file:
            return _of_batches(file.schema_arrow, file.iter_batches(BATCH), file.metadata.num_rows, job)
    except pa.ArrowException as error:
        raise NotALog(f"{path} is no Parquet file: {error}") from None


def _of_hugging_face(data: Any, job: _Job) -> DatasetFingerprint:
    formatted = data.with_format("arrow")
    tables = (formatted[i : i + BATCH] for i in range(0, data.num_rows, BATCH))
    batches = (batch for table in tables for batch in table.to_batches())
    return _of_batches(data.features.arrow_schema, batches, data.num_rows, job)


def _of_batches(schema: Any, batches: Iterable[Any], rows: int, job: _Job) -> DatasetFingerprint:
    cut = job.most is not None and job.most < rows
    kept = _first(batches, job.most) if cut and job.most is not None else batches
    count = min(rows, job.most) if job.most is not None else rows
    leaves, digests = _kept(arrow.table_leaves(kept, job.make), lambda leaf: map(canonical, leaf.to_pylist()), job)
    header = (*_header("table", count if cut else None), *arrow.table_header(schema))
    return DatasetFingerprint(
        digest=tree_root(job.make, header, count, leaves),
        kind="table",
        algorithm=job.algorithm,
        rows=count,
        columns=tuple(schema.names),
        leaf_rows=arrow.LEAF_ROWS,
        leaves=tuple(leaves),
        row_digests=digests,
        unordered=_unordered(digests, job),
        sampled=count if cut else None,
    )


def _kept(
    leaves: Iterable[tuple[bytes, Any]], rows: Callable[[Any], Iterable[bytes]], job: _Job
) -> tuple[list[bytes], bytes | None]:
    """The digests of the leaves, and those of the rows where they were asked for. A row of another leaf is told by the
    leaf and its place: leaves that are equal have equal rows."""
    found, digests = [], bytearray()
    for number, (digest, leaf) in enumerate(leaves):
        found.append(digest)
        job.each(len(leaf))
        if job.keep and (job.only is None or number in job.only):
            digests += b"".join(row_digest(job.make, row) for row in rows(leaf))
        elif job.keep:
            digests += b"".join(digest[: ROW_BYTES - 4] + i.to_bytes(4, "little") for i in range(len(leaf)))
    return found, bytes(digests) if job.keep else None


def _unordered(digests: bytes | None, job: _Job) -> str | None:
    return None if digests is None or job.only is not None else unordered_root(job.make, digests)


def _of_files(path: Path, job: _Job) -> DatasetFingerprint:
    """A leaf for each file: its path below the directory and its content."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    names = [file.relative_to(path).as_posix() if file != path else "" for file in files]
    leaves = []
    for name, file in zip(names, files, strict=True):
        leaves.append(combined(job.make, (name, _bytes_digest(file, job.make))))
        job.each(1)
    return DatasetFingerprint(
        digest=tree_root(job.make, _header("files", None), len(leaves), leaves),
        kind="files",
        algorithm=job.algorithm,
        rows=len(leaves),
        columns=tuple(names) if path.is_dir() else (),
        leaf_rows=1,
        leaves=tuple(leaves),
    )


def _bytes_digest(path: Path, make: Callable[[], Hash]) -> bytes:
    made, buffer = make(), memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            made.update(buffer[:size])
    return made.digest()


def _header(kind: str, sampled: int | None) -> tuple[str, ...]:
    return ENCODING, kind, "whole" if sampled is None else f"first {sampled}"


def _items(data: Any) -> Iterator[Any]:
    """The rows of an iterable, or of a Dataset of torch, which has a length and items by number."""
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[i] for i in range(len(data)))
    if hasattr(data, "__iter__"):
        return iter(data)
    raise MalformedInput(f"a {type(data).__module__}.{type(data).__qualname__} is no dataset that rldk can read")


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as stream:
        for number in itertools.count(1):
            line = stream.readline(MAX_LINE)
            if not line:
                return
            if line.isspace():
                continue
            try:
                yield msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise MalformedInput(f"{path}: line {number} is no JSON: {error}") from None


def _cells(path: Path, delimiter: str) -> Iterator[list[str]]:
    """The rows of a table of text, the header among them: what a cell means is for its reader to say."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        yield from csv.reader(stream, delimiter=delimiter)


def _first(batches: Iterable[Any], most: int) -> Iterator[Any]:
    for batch in batches:
        if most <= 0:
            return
        yield batch.slice(0, most)
        most -= batch.num_rows
