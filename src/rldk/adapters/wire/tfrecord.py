"""Reads the TFRecord framing of TensorBoard event files: length, its masked CRC-32C, payload, its masked CRC-32C.

The reader checks the CRC of every length, so a wrong length never misleads it. It checks the CRCs of payloads in
batches of equal length, all records of a batch at once. It does not check payloads over `CHECKED_BYTES` (images,
audio).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from rldk.adapters.wire.resume import Read
from rldk.core.stream import BrokenStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER_BYTES, FOOTER_BYTES = 12, 4
CHECKED_BYTES = 64 * 1024
MAX_RECORD_BYTES = 64 * 1024 * 1024  # the reader skips a larger payload (a checkpointed embedding, a video)
_OVERSIZED = -1
_FEW = 16  # below this many records of a length the plain loop is faster than numpy


@cache
def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)  # Castagnoli, reflected
        entries.append(crc)
    return tuple(entries)


def masked_crc32c(data: bytes) -> int:
    """The masked CRC-32C that TFRecord stores."""
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def masked_crc32c_many(payloads: Sequence[bytes]) -> NDArray[np.uint32]:
    """The `masked_crc32c` of payloads of one length, shape (n,)."""
    import numpy as np

    table = np.array(_table(), dtype=np.uint32)
    matrix = np.frombuffer(b"".join(payloads), dtype=np.uint8).reshape(len(payloads), -1).T.astype(np.uint32)
    crc = np.full(len(payloads), 0xFFFFFFFF, dtype=np.uint32)
    for column in matrix:
        crc = table[(crc ^ column) & 0xFF] ^ crc >> 8
    crc ^= np.uint32(0xFFFFFFFF)
    masked = (crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)
    return masked.astype(np.uint32)


class BadRecord(Struct, frozen=True):
    """A record that could not be read: its number from 1, its byte offset and the reason."""

    record: int
    offset: int
    reason: str


class RecordReader:
    """Iterates over the payloads in the chunks of a file, in order. After the iteration all counts are complete.

    `offset`: where the record of the payload begins. A payload with a wrong CRC is left out. A cut record, or a length
    with a wrong CRC, ends the file. `go_on` prepares the reading of new data in a growing file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._lengths: dict[bytes, int] = {}  # headers known to be right; a file has few different lengths
        self._buffer = b""
        self._base = 0  # offset in the file of the first byte of the buffer
        self._skip = 0  # bytes of an oversized record still to come
        self._corrupt_length = False
        self._cut_off = False  # the last fault is a record that may still get its end
        self._read = Read()
        self.records = 0
        self.offset = 0
        self.faults: list[BadRecord] = []

    def __iter__(self) -> Iterator[bytes]:
        self._cut_off = False
        if self._corrupt_length:
            return
        broken = ""
        try:
            for chunk in self._chunks:
                yield from self._feed(self._read.note(chunk))
                if self._corrupt_length:
                    self._fault(self._base, "the length of the record does not match its CRC")
                    return
        except BrokenStream as error:
            broken = f": {error}"
        self._cut_off = bool(self._buffer or broken)
        if self._cut_off:
            self._fault(self._base, f"the file is cut off {len(self._buffer)} bytes into the record{broken}")

    def go_on(self, chunks: Iterable[bytes]) -> bool:
        """Prepares another iteration, over the data in the chunks after everything read so far. Returns False when the
        chunks begin differently. Raises what iterating over the chunks raises."""
        rest = self._read.after(chunks)
        if rest is None:
            return False
        if self._cut_off:
            self.faults.pop()
            self.records -= 1
        self._chunks = rest
        return True

    def _fault(self, offset: int, reason: str) -> None:
        self.records += 1
        self.faults.append(BadRecord(self.records, offset, reason))

    def _feed(self, chunk: bytes) -> Iterator[bytes]:
        if self._skip:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            self._base += skipped
            chunk = chunk[skipped:]
        self._buffer += chunk
        batch = self._cut()
        corrupt = _corrupt(batch)
        for i, (offset, payload, crc) in enumerate(batch):
            if crc == _OVERSIZED:
                self._fault(offset, f"the record is larger than {MAX_RECORD_BYTES} bytes")
            elif i in corrupt:
                self._fault(offset, "the payload does not match its CRC")
            else:
                self.records += 1
                self.offset = offset
                yield payload

    def _cut(self) -> list[tuple[int, bytes, int]]:
        """Takes the complete records out of the buffer, as (offset, payload, stored CRC)."""
        batch: list[tuple[int, bytes, int]] = []
        buffer, lengths, base, at = self._buffer, self._lengths, self._base, 0
        unpack = struct.Struct("<I").unpack_from
        while len(buffer) - at >= HEADER_BYTES:
            header = buffer[at : at + HEADER_BYTES]
            length = lengths.get(header)
            if length is None:
                length = record_length(header)
                if length is None:
                    self._corrupt_length = True
                    break
                lengths[header] = length
            stop = at + HEADER_BYTES + length
            if length > MAX_RECORD_BYTES:
                batch.append((base + at, b"", _OVERSIZED))
                self._skip = max(0, stop + FOOTER_BYTES - len(buffer))
            elif stop + FOOTER_BYTES > len(buffer):
                break
            else:
                batch.append((base + at, buffer[at + HEADER_BYTES : stop], unpack(buffer, stop)[0]))
            at = min(stop + FOOTER_BYTES, len(buffer))
        self._base += at
        self._buffer = buffer[at:]
        return batch


def record_length(header: bytes) -> int | None:
    """The payload length in a 12-byte record header; None when its CRC is wrong."""
    length, crc = struct.unpack("<QI", header)
    return int(length) if masked_crc32c(header[:8]) == crc else None


def _corrupt(batch: list[tuple[int, bytes, int]]) -> set[int]:
    """The indices of the records of a batch whose payload does not match its CRC."""
    import numpy as np

    by_length: dict[int, list[int]] = {}
    for i, (_, payload, _) in enumerate(batch):
        by_length.setdefault(len(payload), []).append(i)
    corrupt: set[int] = set()
    for length, indices in by_length.items():
        if not length or length > CHECKED_BYTES:
            continue
        if len(indices) < _FEW:
            corrupt.update(i for i in indices if masked_crc32c(batch[i][1]) != batch[i][2])
            continue
        actual = masked_crc32c_many([batch[i][1] for i in indices])
        wrong = np.flatnonzero(actual != np.array([batch[i][2] for i in indices], dtype=np.uint32))
        corrupt.update(indices[j] for j in wrong.tolist())
    return corrupt
