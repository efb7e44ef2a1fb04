"""Tables of Arrow: columns in a form that does not depend on chunks, offsets, or what lies below a null."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rldk.core.extras import need
from rldk.errors import MalformedInput
from rldk.provenance.fingerprints.digest import Hash

if TYPE_CHECKING:
    import pyarrow as pa

LEAF_ROWS = 65_536
_FIXED = (
    "int",
    "uint",
    "float",
    "halffloat",
    "double",
    "date",
    "time",
    "timestamp",
    "duration",
    "decimal",
    "fixed_size_binary",
)


def table_header(schema: pa.Schema) -> tuple[str, ...]:
    """The names of the columns and their types. Text with small and with large offsets is the same type."""
    return ("table", *(f"{field.name}\0{_plain_type(field.type)}" for field in schema))


def table_leaves(batches: Iterable[pa.RecordBatch], make: Callable[[], Hash]) -> Iterator[tuple[bytes, pa.Table]]:
    """Each leaf of 65,536 rows with its digest. One leaf at a time is in memory, beside the batch."""
    for leaf in _leaves(batches):
        made = make()
        for column in leaf.columns:
            for part in _content(_whole(column)):
                made.update(len(part).to_bytes(8, "little"))
                made.update(part)
        yield made.digest(), leaf


def _leaves(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    import pyarrow as pa

    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        while rows + batch.num_rows - start >= LEAF_ROWS:
            take = LEAF_ROWS - rows
            yield pa.Table.from_batches([*kept, batch.slice(start, take)])
            kept, rows, start = [], 0, start + take
        if start < batch.num_rows:
            kept.append(batch.slice(start))
            rows += batch.num_rows - start
    if rows:
        yield pa.Table.from_batches(kept)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _content(array: pa.Array) -> Iterator[Any]:
    """The parts of an array as buffers: which values are null, and the values with nulls as zeros."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _content(array.storage)
        return
    if pa.types.is_dictionary(kind):
        yield from _content(array.dictionary_decode())
        return
    yield _nulls(array)
    if pa.types.is_null(kind):
        return
    if pa.types.is_boolean(kind):
        yield _bits(pc.fill_null(array, False))
    elif any(str(kind).startswith(name) for name in _FIXED):
        yield _values(array)
    elif (
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    ):
        yield from _texts(array)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        yield _lengths(pc.list_value_length(array) if not pa.types.is_map(kind) else _map_lengths(array))
        yield from _content(array.flatten() if not pa.types.is_map(kind) else _entries(array))
    elif pa.types.is_fixed_size_list(kind):
        yield from _content(array.flatten())
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _content(array.flatten()[i])
    else:
        raise MalformedInput(
            f"a column of Arrow's type {kind} cannot be compared", hint="cast it to a plain type first"
        )


def _nulls(array: pa.Array) -> bytes:
    import pyarrow.compute as pc

    return b"" if array.null_count == 0 else bytes(_bits(pc.is_null(array)))


def _bits(array: pa.Array) -> Any:
    import numpy as np

    return np.packbits(array.to_numpy(zero_copy_only=False).astype(bool)).data


def _values(array: pa.Array) -> Any:
    """The values as bytes, zero where there is none."""
    width = array.type.bit_width // 8
    if array.null_count:
        return _zeroed(array, width).data
    data = array.buffers()[1]
    return memoryview(data)[array.offset * width : (array.offset + len(array)) * width] if data is not None else b""


def _zeroed(array: pa.Array, width: int) -> Any:
    import numpy as np
    import pyarrow.compute as pc

    data = memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]
    words = np.frombuffer(data, dtype=f"<u{width}" if width in (1, 2, 4, 8) else f"V{width}").copy()
    empty = np.zeros(1, words.dtype)
    np.putmask(words, pc.is_null(array).to_numpy(zero_copy_only=False), empty)
    return words.view(np.uint8)


def _texts(array: pa.Array) -> Iterator[Any]:
    """The lengths of texts and their bytes, one after another; a null has length 0."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    wide = np.int64 if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type) else np.int32
    if array.null_count:
        array = pc.fill_null(
            array, "" if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else b""
        )
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        yield b""
        yield b""
        return
    ends = np.frombuffer(offsets, dtype=wide)[array.offset : array.offset + len(array) + 1]
    yield np.diff(ends).astype("<u4", copy=False).data  # a leaf with 4 GiB of text in one cell is none
    yield memoryview(data)[int(ends[0]) : int(ends[-1])] if data is not None else b""


def _lengths(lengths: pa.Array) -> Any:
    import pyarrow.compute as pc

    return pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype("<u4").data


def _map_lengths(array: pa.MapArray) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.diff(array.offsets.to_numpy()))


def _entries(array: pa.MapArray) -> pa.Array:
    import pyarrow as pa

    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    keys, items = array.keys, array.items
    pairs = pa.StructArray.from_arrays([keys, items], names=["key", "value"])
    return pairs if len(pairs) == last - first else pairs.slice(first, last - first)


def _plain_type(kind: pa.DataType) -> str:
    import pyarrow as pa

    if isinstance(kind, pa.ExtensionType):
        return _plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_plain_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        fields = (kind.field(i) for i in range(kind.num_fields))
        return f"struct<{', '.join(f'{f.name}: {_plain_type(f.type)}' for f in fields)}>"
    return str(kind).removeprefix("large_")


def frame_table(frame: Any) -> pa.Table:
    """A data frame of pandas or polars as a table. The index of pandas counts unless it only numbers the rows. Raises
    `MalformedInput` for a column of mixed types."""
    with need("parquet", "pyarrow"):
        import pyarrow as pa
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    numbered = type(frame.index).__name__ == "RangeIndex"
    try:
        return pa.Table.from_pandas(frame, preserve_index=not numbered).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise MalformedInput(f"this data frame is no table: {error}", hint="give each column one type") from None
