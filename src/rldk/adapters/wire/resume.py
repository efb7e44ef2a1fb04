"""Continues the reading of a file that has grown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from zlib import crc32


class Read:
    """How much of a file was read: the bytes, and their CRC-32."""

    __slots__ = ("_bytes", "_digest")

    def __init__(self) -> None:
        self._bytes = self._digest = 0

    def note(self, data: bytes) -> bytes:
        """Returns the data, which was read now."""
        self._bytes, self._digest = self._bytes + len(data), crc32(data, self._digest)
        return data

    def after(self, chunks: Iterable[bytes]) -> Iterator[bytes] | None:
        """The data in the chunks after everything read so far. None when the chunks begin differently.

        Raises what iterating over the chunks raises."""
        left, digest, found = self._bytes, 0, iter(chunks)
        rest = b""
        while left and (chunk := next(found, b"")):
            digest = crc32(chunk[:left], digest)
            rest, left = chunk[left:], max(0, left - len(chunk))
        return None if left or digest != self._digest else chain([rest], found)
