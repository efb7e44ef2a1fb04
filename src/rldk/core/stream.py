"""Bytes out of files: decompression by content, and chunks of a source that may end early."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from rldk.errors import MissingExtra, UnreadableSource

CHUNK = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Openable(Protocol):
    """Something with a path that can be opened for reading from its start (`adapters.source.File`)."""

    @property
    def path(self) -> Path: ...

    def open(self) -> BinaryIO: ...


class BrokenStream(Exception):
    """The source stopped giving bytes before its end (a cut or damaged archive, a failing disk)."""


def open_binary(path: Path) -> BinaryIO:
    """A binary stream from the start of the file, gzip and zstandard decompressed.

    Raises `UnreadableSource` (absent, not permitted) and `MissingExtra` (zstandard not installed)."""
    try:
        raw = path.open("rb")
        magic = raw.read(4)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableSource(f"cannot read {path}: {reason}", hint="check the path and its permissions") from None
    if magic.startswith(_GZIP):
        raw.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    raw.seek(0)
    if magic != _ZSTD:
        return raw
    try:
        import zstandard
    except ImportError:
        raw.close()
        raise MissingExtra("remote", "zstandard") from None
    return cast(BinaryIO, io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, closefd=True), CHUNK))


def chunks(source: Openable | Path, size: int = CHUNK) -> Iterator[bytes]:
    """The decompressed bytes in chunks of `size` or little more, the last one shorter.

    Raises `BrokenStream` where the source breaks off, after all that could be read before it."""
    with open_binary(source) if isinstance(source, Path) else source.open() as stream:
        zstandard = sys.modules.get("zstandard")
        broken = (EOFError, OSError, zlib.error, *((zstandard.ZstdError,) if zstandard else ()))
        read = getattr(stream, "read1", stream.read)  # read() of a cut archive raises and gives none of its last chunk
        why, pieces, held = None, [], 0
        while why is None:
            try:
                piece = read(size)
            except broken as error:
                piece, why = b"", str(error) or type(error).__name__
            pieces.append(piece)
            held += len(piece)
            if held >= size or not piece:
                yield b"".join(pieces)
                pieces, held = [], 0
            if not piece:
                break
        if why is not None:
            raise BrokenStream(why)
