"""Distributed checkpoints of torch (DCP, FSDP): a `.metadata` file and shards, each tensor cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.checkpoint import Section
from rldk.errors import MalformedInput, UnreadableSource
from rldk.provenance.checkpoints.archive import MAX_PICKLE, Archive, read_archive
from rldk.provenance.checkpoints.described import DescribedTensor, Made
from rldk.provenance.checkpoints.opcodes import read_pickle
from rldk.provenance.checkpoints.sections import bare_name, section_of, tensor_name, text_of
from rldk.provenance.checkpoints.stored import ByteRange, Contents, StoredTensor
from rldk.provenance.inside import relative_path

METADATA = ".metadata"
_MODEL = ("model.", "state_dict.", "app.model.")


class _Block(Struct, frozen=True, kw_only=True):
    """A block of a tensor: where it begins, its shape, and where it lies."""

    offsets: tuple[int, ...]
    tensor: StoredTensor


def add_distributed(contents: Contents, folder: Path, prefix: str) -> None:
    """Adds the tensors and values of the distributed checkpoint in `folder`. Blocks along the first axis become one
    tensor, so that two numbers of ranks compare; other blocks are tensors of their own."""
    found = _state(read_pickle(_metadata(folder / METADATA), str(folder / METADATA)))
    places = found.get("storage_data")
    if not isinstance(places, dict):
        raise MalformedInput(f"{folder / METADATA} says not where its tensors lie")
    stored: dict[str, list[tuple[tuple[int, ...], Path, int, int]]] = {}
    for index, info in places.items():
        name, offsets = _index(index)
        shard, start, size = _info(info)
        stored.setdefault(name, []).append((offsets, folder / str(relative_path(shard)), start, size))
    read: set[Path] = set()
    for name, entries in stored.items():
        section, full = _named(name)
        blocks = []
        for offsets, file, start, size in entries:
            archive = read_archive(file, start, size)
            read.add(file)
            if isinstance(archive.value, DescribedTensor):
                blocks.append(_Block(offsets=offsets, tensor=_tensor(archive, section, prefix + full)))
            else:
                contents.values.setdefault((section, prefix + full), text_of(archive.value))
        for tensor in _joined(blocks):
            contents.tensors.setdefault((section, tensor.name), tensor)
    contents.files += sorted(file.name for file in read)
    contents.size += sum(file.stat().st_size for file in read)


def _metadata(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_PICKLE:
            raise MalformedInput(f"{path} has more than {MAX_PICKLE:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None


def _state(value: Any) -> Mapping[str, Any]:
    """The attributes of a described object: the last mapping among what it was made of."""
    if isinstance(value, Made):
        return next((part for part in reversed(value.args) if isinstance(part, dict)), {})
    return value if isinstance(value, dict) else {}


def _index(index: Any) -> tuple[str, tuple[int, ...]]:
    found = _state(index)
    offset = found.get("offset")
    numbers = isinstance(offset, tuple | list) and all(isinstance(n, int) for n in offset)
    return tensor_name(str(found.get("fqn", ""))), tuple(offset or ()) if numbers else ()


def _info(info: Any) -> tuple[str, int, int]:
    found = _state(info)
    place = (found.get("relative_path"), found.get("offset"), found.get("length"))
    if not (isinstance(place[0], str) and all(isinstance(n, int) and n >= 0 for n in place[1:])):
        raise MalformedInput("the metadata of the distributed checkpoint is damaged", hint="save it again")
    if found.get("transform_descriptors"):
        raise MalformedInput("the distributed checkpoint is compressed", hint="save it without extensions")
    return place[0], int(found["offset"]), int(found["length"])


def _named(name: str) -> tuple[Section, str]:
    head, _, rest = name.partition(".")
    section = section_of(head)
    if section is not None:
        return section, rest or head
    for start in _MODEL:
        name = name.removeprefix(start)
    return "model", bare_name(name)


def _tensor(archive: Archive, section: Section, name: str) -> StoredTensor:
    return archive.tensor(archive.value, section=section, name=name)


def _joined(blocks: list[_Block]) -> Iterator[StoredTensor]:
    """One tensor where blocks follow one another along the first axis; else one for each block, named by its place."""
    blocks = sorted(blocks, key=lambda block: block.offsets)
    first = blocks[0].tensor if blocks else None
    if first is None:
        return
    rows = 0
    pieces: list[ByteRange] = []
    for block in blocks:
        shape, inner = block.tensor.shape, block.offsets[1:]
        if len(blocks) > 1 and (
            not shape
            or len(block.offsets) != len(shape)
            or block.tensor.stride is not None
            or any(inner)
            or block.offsets[0] != rows
            or (shape[1:], block.tensor.dtype) != (first.shape[1:], first.dtype)
        ):
            yield from (_alone(b) for b in blocks)
            return
        rows += shape[0] if shape else 0
        pieces += block.tensor.pieces
    if len(blocks) == 1:
        yield first
        return
    yield StoredTensor(
        section=first.section,
        name=first.name,
        dtype=first.dtype,
        shape=(rows, *first.shape[1:]),
        pieces=tuple(p for p in pieces if p.size),
    )


def _alone(block: _Block) -> StoredTensor:
    ends = (f"{o}:{o + n}" for o, n in zip(block.offsets, block.tensor.shape, strict=False))
    name = f"{block.tensor.name}[{', '.join(ends)}]"
    t = block.tensor
    return StoredTensor(section=t.section, name=name, dtype=t.dtype, shape=t.shape, pieces=t.pieces, stride=t.stride)
