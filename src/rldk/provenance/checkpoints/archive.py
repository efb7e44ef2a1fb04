"""The zip archive that `torch.save` writes, read without torch: where each tensor lies in the file."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from rldk.errors import MalformedInput, NotALog, UnreadableSource, UnsafePickle
from rldk.provenance.checkpoints.described import DescribedTensor
from rldk.provenance.checkpoints.opcodes import read_pickle
from rldk.provenance.checkpoints.stored import WIDTHS, ByteRange, StoredTensor

MAX_PICKLE = 64 << 20
MOST_REPEATED = 1024  # times that a tensor may hold each byte of its storage (a stride of 0)
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that old files of torch begin with
_AGAIN = "load it with torch and save it again: torch.save(torch.load(path, weights_only=True), path)"


class FilePart(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, stream: Any, start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        room = max(0, min(len(buffer), self._size - self._at))
        self._stream.seek(self._start + self._at)
        count: int = self._stream.readinto(memoryview(buffer)[:room])
        self._at += count
        return count


class Archive(Struct, kw_only=True):
    """The value that a file of `torch.save` describes, and where its storages lie: key -> (offset, bytes)."""

    file: str
    value: Any
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def tensor(self, found: DescribedTensor, **names: Any) -> StoredTensor:
        """The tensor as places in the file; `names`: section and name. Raises `MalformedInput`."""
        width = WIDTHS.get(found.dtype)
        offset, size = self.places.get(found.storage.key, (0, -1))
        if width is None:
            raise MalformedInput(f"{names['name']} is of type {found.dtype or 'unknown'}, which rldk does not know")
        empty = 0 in found.shape
        last = found.offset + sum((n - 1) * s for n, s in zip(found.shape, found.stride, strict=True))
        if size < 0 or (not empty and (last + 1) * width > size):
            raise MalformedInput(f"{self.file} is damaged: tensor {names['name']!r} does not lie within its storage")
        if math.prod(found.shape) * width > MOST_REPEATED * size:
            raise MalformedInput(f"{self.file}: tensor {names['name']!r} repeats its storage without end")
        span = 0 if empty else (last + 1 - found.offset) * width
        piece = ByteRange(file=self.file, offset=offset + found.offset * width, size=span)
        memory = f"{self.file}|{piece.offset}|{found.shape}|{found.stride}"
        stride = None if empty or _plain(found.shape, found.stride) else found.stride
        return StoredTensor(
            dtype=found.dtype, shape=found.shape, pieces=(piece,), stride=stride, memory=memory, **names
        )


def read_archive(path: Path, start: int = 0, size: int | None = None) -> Archive:
    """What the file describes, or `size` bytes of it from `start` on. Raises `NotALog` for another format,
    `UnsafePickle`, `MalformedInput` and `UnreadableSource`."""
    try:
        whole = path.stat().st_size
        with path.open("rb") as stream:
            window = FilePart(stream, start, whole - start if size is None else min(size, whole - start))
            return _read(path, window, start, stream)
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None


def _read(path: Path, window: FilePart, start: int, stream: Any) -> Archive:
    try:
        with zipfile.ZipFile(window) as archive:
            return _members(path, archive, start, stream)
    except zipfile.BadZipFile:
        window.seek(0)
        raise _not_a_zip(path, window.read(MAX_PICKLE + 1) or b"") from None
    except (NotImplementedError, RuntimeError, EOFError, UnicodeError) as error:  # encrypted, another version of zip
        raise MalformedInput(f"{path} is damaged: {error}", hint="save the checkpoint again") from None


def _members(path: Path, archive: zipfile.ZipFile, start: int, stream: Any) -> Archive:
    infos = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    head = infos.get("data.pkl")
    if head is None:
        hint = "rldk diff-ckpt reads what torch.save writes, and safetensors"
        raise NotALog(f"{path} is a zip archive, and no file of torch.save", hint=hint)
    if "constants.pkl" in infos or any(name.startswith("code/") for name in infos):
        raise NotALog(f"{path} is a TorchScript program, not weights", hint="save its state_dict() with torch.save")
    if any(info.compress_type or info.flag_bits & 1 for info in infos.values()):
        raise MalformedInput(f"{path} has compressed or encrypted members, which torch.save does not write")
    order = (
        archive.read(infos["byteorder"]) if "byteorder" in infos and infos["byteorder"].file_size < 16 else b"little"
    )
    if order != b"little":
        raise NotALog(f"{path} was written on a big-endian machine", hint=_AGAIN)
    if head.file_size > MAX_PICKLE:
        raise MalformedInput(f"{path} has a pickle of {head.file_size:,} bytes; at most {MAX_PICKLE:,} are read")
    value = read_pickle(archive.read(head), str(path))
    places = {
        name.removeprefix("data/"): (_place(stream, start + info.header_offset, path), info.file_size)
        for name, info in infos.items()
        if name.startswith("data/")
    }
    length = path.stat().st_size
    if any(offset + size > length for offset, size in places.values()):
        raise MalformedInput(f"{path} is damaged: its archive ends before its tensors do")
    return Archive(file=str(path), value=value, places=places)


def _place(stream: Any, header: int, path: Path) -> int:
    stream.seek(header)
    local = stream.read(30)
    if len(local) < 30 or local[:4] != b"PK\x03\x04":
        raise MalformedInput(f"{path} is damaged: a member of its archive is not where the archive says")
    return header + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")


def _not_a_zip(path: Path, data: bytes) -> NotALog | UnsafePickle | MalformedInput:
    """Why a file is not read that is no zip archive. What a plain pickle names is said, too."""
    if data.startswith(LEGACY):
        return NotALog(f"{path} has the format that torch wrote before 1.6", hint=_AGAIN)
    if data[:1] == b"\x80" and len(data) <= MAX_PICKLE:
        try:
            read_pickle(data, str(path))
        except (UnsafePickle, MalformedInput) as error:
            return error
        return NotALog(f"{path} is a plain pickle, and no file of torch.save", hint=_AGAIN)
    return NotALog(f"{path} is no checkpoint that rldk reads", hint="give safetensors, or what torch.save wrote")


def _plain(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether elements in C order follow one another."""
    expected = 1
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size != 1 and step != expected:
            return False
        expected *= size
    return True
