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
        raise UnreadableSource(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions"
        ) from None
    raw.seek(0)
    if magic.startswith(_GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic == _ZSTD:
        try:
            import zstandard
        except ImportError:
            raise MissingExtra("remote", "zstandard") from None
        return cast(BinaryIO, io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, closefd=True)))
    return raw


def chunks(source: Openable | Path) -> Iterator[bytes]:
    """The decompressed bytes in chunks of up to 1 MiB. Raises `BrokenStream` where the source breaks off."""
    with open_binary(source) if isinstance(source, Path) else source.open() as stream:
        zstandard = sys.modules.get("zstandard")
        broken = (EOFError, OSError, zlib.error, *((zstandard.ZstdError,) if zstandard else ()))
        while True:
            try:
                chunk = stream.read(CHUNK)
            except broken as error:
                raise BrokenStream(str(error) or type(error).__name__) from None
            if not chunk:
                return
            yield chunk
