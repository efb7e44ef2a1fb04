"""One file as adapters see it: its first bytes, decompressed, and ways to open it. Content decides, names never do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from rldk.core.stream import BrokenStream, chunks, open_binary

HEAD_BYTES = 64 * 1024  # enough for the widest genuine first line seen (RLlib result.json, 17 kB) several times over


@dataclass(frozen=True)
class File:
    """A readable file. `head`: its first 64 KiB after decompression (b"" when empty or damaged)."""

    path: Path

    @cached_property
    def head(self) -> bytes:
        try:
            return next(chunks(self, HEAD_BYTES), b"")[:HEAD_BYTES]
        except BrokenStream:
            return b""

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
        return open_binary(self.path)
