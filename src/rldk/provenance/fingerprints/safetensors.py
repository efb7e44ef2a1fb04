"""Tensors in files of the safetensors format, without a library: a length, a JSON header, and the bytes."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rldk.errors import NotALog

MAX_HEADER = 100 << 20  # the format's own limit


def tensors_in(path: Path) -> Iterator[tuple[str, str, tuple[int, ...], memoryview]]:
    """(name, type, shape, bytes) of each tensor, in the order of their names. Each view ends with the next one.

    Raises `NotALog` for another format and for offsets that do not fit, `OSError` when it cannot be read."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        size = int.from_bytes(whole[:8], "little")
        if len(whole) < 8 or size > min(MAX_HEADER, len(whole) - 8):
            raise NotALog(f"{path} is no safetensors file: its header would be {size:,} bytes long")
        header = _header(path, whole[8 : 8 + size])
        data = memoryview(whole)
        try:
            for name in sorted(header):
                kind, shape, first, last = _entry(path, name, header[name], len(whole) - 8 - size)
                with data[8 + size + first : 8 + size + last] as part:
                    yield name, kind, shape, part
        finally:
            data.release()


def _header(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
        if isinstance(header, dict):
            header.pop("__metadata__", None)
            return header
    except (ValueError, RecursionError):
        pass
    raise NotALog(f"{path} is no safetensors file: its header is no JSON object")


def _entry(path: Path, name: str, entry: Any, room: int) -> tuple[str, tuple[int, ...], int, int]:
    try:
        shape = tuple(int(n) for n in entry["shape"])
        first, last = (int(n) for n in entry["data_offsets"])
        if 0 <= first <= last <= room:
            return str(entry["dtype"]), shape, first, last
    except (KeyError, TypeError, ValueError):
        pass
    raise NotALog(f"{path} is damaged: tensor {name!r} does not lie within the file")
