"""Reads bytes from files: decompression by content, and chunks of a source that may end early."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from rldk.core.extras import need
from rldk.errors import MissingExtra, UnreadableSource

CHUNK = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAX_INFLATION = 100  # real logs shrink 3 to 30 times (gzip, measured on one of every format); equal rows 300 times
ALLOWED = 1 << 24  # bytes that any archive may unpack to, however small it is


class Openable(Protocol):
    """Something with a path that can be opened for reading from its start (`adapters.source.File`)."""

    @property
    def path(self) -> Path: ...

    def open(self) -> BinaryIO: ...


class BrokenStream(Exception):
    """Raised when the source stops giving bytes before its end (a cut or damaged archive, a failing disk)."""


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of an archive. Reading raises `OSError` once they are out of all proportion to the part of the
    archive that was read."""

    def __init__(self, inner: BinaryIO, archive: BinaryIO) -> None:
        self._inner, self._archive = inner, archive
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._given > max(ALLOWED, MAX_INFLATION * self._archive.tell()):
            raise OSError(f"unpacks to over {MAX_INFLATION} times its size; if that is right, unpack it yourself")
        data = self._inner.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(data)] = data
        self._given += len(data)
        return len(data)

    def close(self) -> None:
        self._inner.close()
        self._archive.close()
        super().close()


class _Recoded(io.RawIOBase):
    """The text of a UTF-16 file as UTF-8; PowerShell writes redirected output so."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._inner.read(len(buffer))
            self._ready = self._decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data:
                break
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._inner.close()
        super().close()


def open_binary(path: Path) -> BinaryIO:
    """A binary stream from the start of the file. gzip and zstandard are decompressed and UTF-16 becomes UTF-8 (then it
    cannot seek).

    Raises `UnreadableSource` (absent, not permitted) and `MissingExtra` (zstandard not installed). Reading a bomb
    raises `OSError`."""
    try:
        raw = path.open("rb")
        magic = raw.read(4)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableSource(f"cannot read {path}: {reason}", hint="check the path and its permissions") from None
    raw.seek(0)
    if magic.startswith(_GZIP):
        return io.BufferedReader(_Unpacked(cast(BinaryIO, gzip.GzipFile(fileobj=raw)), raw), CHUNK)
    if magic.startswith(_UTF16) and b"\0\0" not in magic:
        return io.BufferedReader(_Recoded(raw), CHUNK)
    if magic != _ZSTD:
        return raw
    try:
        with need("remote", "zstandard"):
            import zstandard
    except MissingExtra:
        raw.close()
        raise
    unpacked = zstandard.ZstdDecompressor().stream_reader(raw, closefd=False)
    return io.BufferedReader(_Unpacked(cast(BinaryIO, io.BufferedReader(unpacked)), raw), CHUNK)


def unreadable() -> tuple[type[Exception], ...]:
    """The errors that a stream of `open_binary` raises where its source breaks off."""
    zstandard = sys.modules.get("zstandard")
    return (EOFError, OSError, zlib.error, *((zstandard.ZstdError,) if zstandard else ()))


def chunks(source: Openable | Path, size: int = CHUNK) -> Iterator[bytes]:
    """Yields the decompressed bytes in chunks of `size` or little more. The last one is shorter.

    Raises `BrokenStream` where the source breaks off, after everything that could be read before it."""
    with open_binary(source) if isinstance(source, Path) else source.open() as stream:
        broken = unreadable()
        # read() of a cut archive raises and gives nothing of its last chunk
        read = getattr(stream, "read1", stream.read)
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
