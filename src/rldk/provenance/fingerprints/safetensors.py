"""Tensors in files of the safetensors format, read and written without a library: a length, a JSON header, and the
bytes."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rldk.core.files import whole
from rldk.errors import MalformedInput, NotALog

MAX_HEADER = 100 << 20  # the format's own limit
TYPES = {  # the names of the format to those of torch, so that a model has one digest wherever it is
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
    "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip
_NAMES = {name: kind for kind, name in TYPES.items()}


def tensors_in(path: Path) -> Iterator[tuple[str, str, tuple[int, ...], memoryview]]:
    """(name, type, shape, bytes) of each tensor, in the order of their names. Each view ends with the next one.

    Raises `NotALog` for another format and for offsets that do not fit, `OSError` when it cannot be read."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        data = memoryview(whole)
        try:
            for name, kind, shape, first, last in _places(path, whole):
                with data[first:last] as part:
                    yield name, kind, shape, part
        finally:
            data.release()


def tensor_places(path: Path) -> list[tuple[str, str, tuple[int, ...], int, int]]:
    """(name, type, shape, first byte, byte after the last one) of each tensor, in the order of their names, with the
    offsets counted from the beginning of the file. Raises as `tensors_in` does."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return list(_places(path, whole))


def _places(path: Path, whole: mmap.mmap) -> Iterator[tuple[str, str, tuple[int, ...], int, int]]:
    size = int.from_bytes(whole[:8], "little")
    if len(whole) < 8 or size > min(MAX_HEADER, len(whole) - 8):
        raise NotALog(f"{path} is no safetensors file: its header would be {size:,} bytes long")
    header = _header(path, whole[8 : 8 + size])
    for name in sorted(header):
        kind, shape, first, last = _entry(path, name, header[name], len(whole) - 8 - size)
        yield name, kind, shape, 8 + size + first, 8 + size + last


def write_tensors(
    path: Path, kinds: Mapping[str, tuple[str, tuple[int, ...]]], tensors: Iterable[tuple[str, Any]]
) -> None:
    """Writes a file of the format, whole or not at all, with one tensor at a time in memory.

    `kinds`: type and shape by name, in torch's words. `tensors`: name and bytes of each. Raises `MalformedInput` for a
    type that the format does not have and for tensors that are not those of `kinds`, and `OSError`."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in sorted(kinds.items()):
        kind = _NAMES.get(dtype)
        if kind is None:
            raise MalformedInput(f"{name} is of type {dtype}, which safetensors cannot hold", hint="convert it first")
        begin, end = end, end + item_bytes(kind) * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data to begin at a multiple of eight
    with whole(path) as part, part.open("r+b") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, data in tensors:
            begin, last = header.get(name, {}).get("data_offsets", (0, -1))
            if len(data) != last - begin:
                raise MalformedInput(f"{name} has changed while the weights were written")
            stream.seek(8 + len(text) + begin)
            stream.write(data)
        stream.truncate(8 + len(text) + end)


def item_bytes(kind: str) -> int:
    """The bytes of one element of a type of the format."""
    return 1 if kind == "BOOL" else int("".join(c for c in kind.partition("_")[0] if c.isdigit())) // 8


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
