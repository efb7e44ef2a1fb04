"""Tensors as places in files, and their elements a piece at a time through memory maps."""

from __future__ import annotations

import math
import mmap
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rldk.core.checkpoint import Section
from rldk.errors import UnreadableSource

# type in torch's words -> bytes of an element
WIDTHS = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip
_BITS: dict[int, type[np.unsignedinteger[Any]]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
MAX_MAPS = 32  # files that are mapped at a time


class ByteRange(Struct, frozen=True, kw_only=True):
    """Bytes of a file."""

    file: str
    offset: int
    size: int


class StoredTensor(Struct, frozen=True, kw_only=True):
    """A tensor and where it lies. `pieces` follow one another; elements are in C order unless there is a `stride`, in
    elements, over one piece. `memory`: the same text for names that share memory, "" where the format does not say."""

    section: Section
    name: str
    dtype: str
    shape: tuple[int, ...]
    pieces: tuple[ByteRange, ...]
    stride: tuple[int, ...] | None = None
    memory: str = ""

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class Contents(Struct, kw_only=True):
    """What a checkpoint holds. `values`: what is no tensor, as text. `left_out`: file or entry -> why it was not read.
    `configs`: the small JSON files beside the weights, by name."""

    path: str
    tensors: dict[tuple[Section, str], StoredTensor] = field(default_factory=dict)
    values: dict[tuple[Section, str], str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    size: int = 0


class Maps:
    """Files as memory maps. At most `MAX_MAPS` are kept; one that is dropped stays until its last array is gone."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, mmap.mmap] = OrderedDict()

    def of(self, file: str) -> mmap.mmap:
        """The map of a file. Raises `UnreadableSource`."""
        found = self._held.pop(file, None)
        if found is None:
            try:
                with Path(file).open("rb") as stream:
                    found = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise UnreadableSource(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
            if hasattr(found, "madvise"):
                found.madvise(mmap.MADV_SEQUENTIAL)
        self._held[file] = found
        while len(self._held) > MAX_MAPS:
            self._held.popitem(last=False)
        return found


class Elements:
    """The elements of a tensor in C order, as unsigned integers with their bits; a complex one counts as two."""

    def __init__(self, tensor: StoredTensor, maps: Maps) -> None:
        width = WIDTHS[tensor.dtype]
        self._each = 2 if tensor.dtype.startswith("complex") else 1
        self._bits = np.dtype(_BITS[width // self._each]).newbyteorder("<")
        self._maps = maps
        self._tensor = tensor
        self.count = tensor.elements * self._each
        self._view = None if tensor.stride is None else self._strided(tensor.stride)

    def _strided(self, stride: tuple[int, ...]) -> Any:
        piece = self._tensor.pieces[0]
        width = self._bits.itemsize
        flat = self._array(piece, 0, piece.size // width)
        shape: tuple[int, ...] = self._tensor.shape
        steps = tuple(s * self._each * width for s in stride)
        if self._each > 1:
            shape, steps = (*shape, self._each), (*steps, width)
        return np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False).flat

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Elements number `start` to `stop` - 1: a view of the file, or a copy where they do not follow one another."""
        if self._view is not None:
            return np.asarray(self._view[start:stop])
        width, parts, first = self._bits.itemsize, [], 0
        for piece in self._tensor.pieces:
            last = first + piece.size // width
            if first < stop and last > start:
                parts.append(self._array(piece, max(start, first) - first, min(stop, last) - first))
            first = last
            if first >= stop:
                break
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, self._bits), *parts])

    def _array(self, piece: ByteRange, start: int, stop: int) -> NDArray[Any]:
        held = self._maps.of(piece.file)
        width = self._bits.itemsize
        if piece.offset + piece.size > len(held):
            raise UnreadableSource(f"{piece.file} has become shorter while it was read")
        return np.frombuffer(held, self._bits, stop - start, piece.offset + start * width)
