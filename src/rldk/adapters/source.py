"""One file as adapters see it: its first bytes, decompressed, and ways to open it. Only content decides."""

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
    """Whether these first bytes suffice to tell the format of a file, when they are at least `HEAD_BYTES` long."""
    return data.count(b"\n") >= _HEAD_LINES or len(data) >= MAX_HEAD or b"\0" in data[:4096]


class File(Struct, frozen=True, dict=True):
    """A readable file. `head`: its first 64 KiB after decompression, or more when these hold fewer than two lines; b""
    when the file is empty or damaged."""

    path: Path

    @classmethod
    def beginning(cls, data: bytes, path: str | os.PathLike[str] | None = None) -> File:
        """A file that is known only by its head, and perhaps by its path."""
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
        """Whether the first bytes hold no NUL. A log may hold a few bad UTF-8 sequences and still be text.

        NULs after a line do not count: a crashed machine leaves them for the tail that it never wrote."""
        start = self.head[:4096]
        written = start.rstrip(b"\0")
        return bool(written) and b"\0" not in written and (written == start or b"\n" in written)

    def open(self) -> BinaryIO:
        """A binary stream from the start of the file; gzip and zstandard are decompressed.

        Raises `UnreadableSource` (absent, not permitted) and `MissingExtra` (zstandard not installed)."""
        return open_binary(self.path)
