"""Reads the LevelDB log framing that W&B uses for its `.wandb` files.

Blocks of 32 KiB hold chunks: crc32 of type and data, length, type, data. A record is one FULL chunk, or a FIRST, any
number of MIDDLE and a LAST one. No chunk crosses a block, so after any damage the next block is sound again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from rldk.adapters.wire.resume import Read
from rldk.core.jsonl import KEPT_REJECTS
from rldk.core.model import Rejected
from rldk.core.stream import BrokenStream

MAGIC = b":W&B\xe1\xbe\x00"  # ident, magic number 0xBEE1, version 0
BLOCK_BYTES = 32 * 1024
MAX_RECORD_BYTES = 64 * 1024 * 1024
_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class LogReader:
    """Iterates over the records in the chunks of a file. After the iteration all counts are complete.

    `offset`: where the current record begins. The reader skips a chunk with a wrong CRC by its length. When
    the next chunk is wrong too, the length was wrong, and the reader skips the rest of the block. Either way one record
    counts as refused. `go_on` prepares the reading of new data in a growing file."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = source
        self._read = Read()
        self._parts: list[bytes] = []
        self._size = 0
        self._block = b""  # the last block as far as it was read
        self._base = 0  # where it begins
        self._at = len(MAGIC)  # everything before this place in it is done
        self._damaged = False  # the chunk before that place was wrong
        self._cut_off = False  # the last refusal is of a record that may still get its end
        self.offset = 0
        self.records = 0
        self.rejected_count = 0
        self.rejected: list[Rejected] = []

    def __iter__(self) -> Iterator[bytes]:
        self._cut_off = False
        try:
            for data in self._source:
                self._block += self._read.note(data)
                while len(self._block) >= BLOCK_BYTES:
                    yield from self._records(self._block[:BLOCK_BYTES])
                    self._block = self._block[BLOCK_BYTES:]
                    self._base, self._at, self._damaged = self._base + BLOCK_BYTES, 0, False
        except BrokenStream:  # it shows as the cut record that it leaves
            pass
        yield from self._records(self._block)
        if self._at < len(self._block) and not self._damaged:
            self._cut_off, self.offset = True, self._base + self._at
            self._refuse("cut off")
        elif self._parts:
            self._cut_off = True
            self._refuse("the file is cut off: the end of the record is missing")

    def go_on(self, chunks: Iterable[bytes]) -> bool:
        """Prepares another iteration, over the data in the chunks after everything read so far. Returns False when the
        chunks begin differently. Raises what iterating over the chunks raises."""
        rest = self._read.after(chunks)
        if rest is None:
            return False
        if self._cut_off:
            self.records -= 1
            self.rejected_count -= 1
            del self.rejected[self.rejected_count :]
        self._source = rest
        return True

    def reject(self, reason: str) -> None:
        """Counts the record at `offset` as refused."""
        self.rejected_count += 1
        if len(self.rejected) < KEPT_REJECTS:
            self.rejected.append(Rejected(line=self.records, offset=self.offset, reason=reason))

    def _records(self, block: bytes) -> Iterator[bytes]:
        """The records that end in the part of the block which is not done yet."""
        for offset, kind, data in self._sound(block):
            if kind == _FULL and not self._parts and len(data) <= MAX_RECORD_BYTES:  # nearly every record
                self.offset = offset
                self.records += 1
                yield data
                continue
            if kind in (_FULL, _FIRST):
                self._drop("the end of the record is missing")
                self.offset = offset
            elif not self._parts:
                continue  # its beginning was damaged and has been counted
            self._parts.append(data)
            self._size += len(data)
            if self._size > MAX_RECORD_BYTES:
                self._drop(f"the record is larger than {MAX_RECORD_BYTES} bytes")
            elif kind in (_FULL, _LAST):
                record, self._parts, self._size = b"".join(self._parts), [], 0
                self.records += 1
                yield record

    def _drop(self, reason: str) -> None:
        if self._parts:
            self._refuse(reason)
        self._parts, self._size = [], 0

    def _refuse(self, reason: str) -> None:
        self.records += 1
        self.reject(reason)

    def _sound(self, block: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Offset, type and data of the sound chunks of the block that are not done yet."""
        unpack, crc32, head = _HEADER.unpack_from, zlib.crc32, _HEADER.size
        while len(block) - self._at >= head:
            at = self._at
            crc, size, kind = unpack(block, at)
            end = at + head + size
            whole = end <= len(block)
            if whole and crc32(block[at + head - 1 : end]) == crc:
                self._at, self._damaged = end, False
                yield self._base + at, kind, block[at + head : end]
                continue
            if not whole and len(block) < BLOCK_BYTES:
                return  # more of it may come
            self._at = end if whole and not self._damaged else BLOCK_BYTES
            if not self._damaged:
                self._damaged, self._parts, self._size, self.offset = True, [], 0, self._base + at
                self._refuse("the data does not match its CRC")
