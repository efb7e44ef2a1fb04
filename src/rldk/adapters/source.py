"""One file as adapters see it: its first bytes, decompressed, and ways to open it. Content decides, names never do."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from rldk.core.stream import BrokenStream, chunks, open_binary

HEAD_BYTES = 64 * 1024  # enough for the widest genuine first line seen (RLlib result.json, 17 kB) several times over
MAX_HEAD = 2 << 20  # of a file whose first two lines are longer: they may carry texts beside the metrics
_HEAD_LINES = 2  # a header and a row


def is_head(data: bytes) -> bool:
    """Whether these first bytes, if at least `HEAD_BYTES`, tell the format of a file as well as all of it would."""
    return data.count(b"\n") >= _HEAD_LINES or len(data) >= MAX_HEAD or b"\0" in data[:4096]


class File(Struct, frozen=True, dict=True):
    """A readable file. `head`: its first 64 KiB after decompression (b"" when empty or damaged), more when that holds
    less than two lines."""

    path: Path

    @classmethod
    def beginning(cls, data: bytes, path: str | os.PathLike[str] | None = None) -> File:
        """A file of which no more is known than its head, and perhaps where it lies."""
        file = cls(Path(path or os.devnull))
        end = HEAD_BYTES
        while end < len(data) and not is_head(data[:end]):
            end += HEAD_BYTES
        file.__dict__["head"] = data[: min(end, MAX_HEAD)]
        return file

    @cached_property
    def head(self) -> bytes:
        head = b""
        try:
            for chunk in chunks(self, HEAD_BYTES):
                head += chunk
                if is_head(head):
                    break
        except BrokenStream:
            pass
        return head[:MAX_HEAD]

    @cached_property
    def size(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def first_line(self) -> bytes:
        return self.head.split(b"\n", 1)[0].strip()

    @cached_property
    def is_text(self) -> bool:
        """No NUL byte among the first bytes; a log may hold a few bad UTF-8 sequences and still be text.

        NULs that follow a line are the tail of a file that a crashed machine never wrote."""
        start = self.head[:4096]
        written = start.rstrip(b"\0")
        return bool(written) and b"\0" not in written and (written == start or b"\n" in written)

    def open(self) -> BinaryIO:
        """A binary stream from the start, gzip and zstandard decompressed.

        Raises `UnreadableSource` (absent, not permitted) and `MissingExtra` (zstandard not installed)."""
        return open_binary(self.path)
