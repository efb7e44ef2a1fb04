"""Reads the LevelDB log framing that W&B uses for its `.wandb` files.

Blocks of 32 KiB hold chunks: crc32 of type and data, length, type, data. A record is one FULL chunk, or a FIRST, any
number of MIDDLE and a LAST one. No chunk crosses a block, so after any damage the next block is sound again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

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
    counts as refused."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = source
        self._parts: list[bytes] = []
        self._size = 0
        self.offset = 0
        self.records = 0
        self.rejected_count = 0
        self.rejected: list[Rejected] = []

    def __iter__(self) -> Iterator[bytes]:
        base = 0
        for block in self._blocks():
            for offset, kind, data in self._sound(block, base):
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
            base += len(block)
        self._drop("the file is cut off: the end of the record is missing")

    def reject(self, reason: str) -> None:
        """Counts the record at `offset` as refused."""
        self.rejected_count += 1
        if len(self.rejected) < KEPT_REJECTS:
            self.rejected.append(Rejected(line=self.records, offset=self.offset, reason=reason))

    def _drop(self, reason: str) -> None:
        if self._parts:
            self.records += 1
            self.reject(reason)
        self._parts, self._size = [], 0

    def _damage(self, offset: int, reason: str) -> None:
        self._parts, self._size, self.offset = [], 0, offset
        self.records += 1
        self.reject(reason)

    def _blocks(self) -> Iterator[bytes]:
        held = b""
        try:
            for data in self._source:
                held += data
                whole = len(held) - len(held) % BLOCK_BYTES
                yield from (held[at : at + BLOCK_BYTES] for at in range(0, whole, BLOCK_BYTES))
                held = held[whole:]
        except BrokenStream:  # it shows as the cut record that it leaves
            pass
        if held:
            yield held

    def _sound(self, block: bytes, base: int) -> Iterator[tuple[int, int, bytes]]:
        """Offset, type and data of the sound chunks of a block."""
        at = len(MAGIC) if base == 0 else 0
        damaged = False
        while len(block) - at >= _HEADER.size:
            crc, size, kind = _HEADER.unpack_from(block, at)
            end = at + _HEADER.size + size
            whole = end <= len(block)
            if whole and zlib.crc32(block[at + _HEADER.size - 1 : end]) == crc:
                damaged = False
                yield base + at, kind, block[at + _HEADER.size : end]
            elif damaged:
                return
            else:
                damaged = True
                torn = not whole and len(block) < BLOCK_BYTES
                self._damage(base + at, "cut off" if torn else "the data does not match its CRC")
                if not whole:
                    return
            at = end
        if len(block) < BLOCK_BYTES and at < len(block) and not damaged:
            self._damage(base + at, "cut off")
