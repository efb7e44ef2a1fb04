"""Reads Arrow and Feather files as records; Hugging Face datasets keep their tables in these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rldk.core.extras import need
from rldk.errors import MalformedInput

FILE = b"ARROW1"
STREAM = b"\xff\xff\xff\xff"  # the marker of a message. Source: Arrow columnar format, encapsulated message format
MOST_BATCH = 1 << 12  # rows


def is_arrow(head: bytes) -> bool:
    """Whether a file that begins like this is an Arrow file or stream."""
    return head.startswith(FILE) or (head.startswith(STREAM) and b"\0" in head[4:8])


def read_arrow(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of the file. Raises `MalformedInput` and `MissingExtra`."""
    with need("parquet", "pyarrow"):
        import pyarrow as pa
    try:
        with pa.memory_map(str(path)) as source:
            for batch in _batches(pa, source):
                for begin in range(0, batch.num_rows, MOST_BATCH):
                    yield from batch.slice(begin, MOST_BATCH).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MalformedInput(f"{path} is no complete Arrow file: {why}", hint="was it copied whole?") from None


def _batches(pa: Any, source: Any) -> Iterator[Any]:
    head = source.read(len(FILE))
    source.seek(0)
    if head != FILE:
        yield from pa.ipc.open_stream(source)
        return
    reader = pa.ipc.open_file(source)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)
