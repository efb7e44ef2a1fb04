"""One file as adapters see it: its first bytes, decompressed, and ways to open it. Content decides, names never do."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

from rldk.errors import MissingExtra, UnreadableSource

HEAD_BYTES = 64 * 1024  # enough for the widest genuine first line seen (RLlib result.json, 17 kB) several times over
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class File:
    """A readable file. `head`: its first 64 KiB after decompression (b"" when empty)."""

    path: Path

    @cached_property
    def head(self) -> bytes:
        with self.open() as stream:
            return stream.read(HEAD_BYTES)

    @cached_property
    def size(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def first_line(self) -> bytes:
        return self.head.split(b"\n", 1)[0].strip()

    @cached_property
    def is_text(self) -> bool:
        """No NUL byte among the first bytes; a log may hold a few bad UTF-8 sequences and still be text."""
        return bool(self.head) and b"\0" not in self.head[:4096]

    def open(self) -> BinaryIO:
        """A binary stream from the start, gzip and zstandard decompressed.

        Raises `UnreadableSource` (absent, not permitted) and `MissingExtra` (zstandard not installed)."""
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise UnreadableSource(
                f"cannot read {self.path}: {error.strerror}", hint="check the path and its permissions"
            ) from None
        magic = raw.read(4)
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
