"""Decodes the Protocol Buffers wire format without a schema, well enough for foreign logs and safely on any bytes.

Only field contents are copied, nested messages are decoded on request, and every declared length is compared with the
bytes present. So time and memory stay linear in the input.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_FIXED_WIDTH = {1: 8, 5: 4}  # wire type -> bytes
_INT64, _UINT64 = 1 << 63, 1 << 64


class WireError(ValueError):
    """Raised when bytes are not a protobuf message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned varint at `at`, and the offset after it. Raises `WireError` past 10 bytes or at the end."""
    value = shift = 0
    for byte in data[at : at + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value % _UINT64, at + shift // 7
    raise WireError("the varint does not end")


class Message:
    """One level of a message, as field number -> values in order. Accessors skip values of another wire type."""

    __slots__ = ("_fields",)

    def __init__(self, data: bytes) -> None:
        fields: dict[int, list[int | bytes]] = {}
        self._fields = fields
        at, end = 0, len(data)
        while at < end:
            key = data[at]
            if key < 0x80:  # nearly every key and length has one byte
                at += 1
            else:
                key, at = varint(data, at)
            kind = key & 7
            value: int | bytes
            if kind == 0:
                value, at = varint(data, at)
            else:
                if kind == 2 and at < end and data[at] < 0x80:
                    width = data[at]
                    at += 1
                elif kind == 2:
                    width, at = varint(data, at)
                elif kind in _FIXED_WIDTH:
                    width = _FIXED_WIDTH[kind]
                else:
                    raise WireError(f"wire type {kind}")
                if width > end - at:
                    raise WireError("the field is longer than its message")
                value = data[at : at + width]
                at += width
            key >>= 3
            if key in fields:
                fields[key].append(value)
            else:
                fields[key] = [value]

    def fields(self) -> Iterable[tuple[int, list[int | bytes]]]:
        """Each field that is there, with its values."""
        return self._fields.items()

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def integer(self, number: int, default: int = 0) -> int:
        """The last value of a varint field as int64."""
        for value in reversed(self._fields.get(number, [])):
            if isinstance(value, int):
                return value - _UINT64 if value >= _INT64 else value
        return default

    def chunks(self, number: int) -> list[bytes]:
        """Every value of a length-delimited or fixed-width field."""
        return [v for v in self._fields.get(number, []) if isinstance(v, bytes)]

    def integers(self, number: int) -> list[int]:
        """Every value of a repeated integer field, packed or not, as int64."""
        values: list[int] = []
        for item in self._fields.get(number, []):
            if isinstance(item, int):
                values.append(item)
                continue
            at = 0
            while at < len(item):
                value, at = varint(item, at)
                values.append(value)
        return [v - _UINT64 if v >= _INT64 else v for v in values]

    def fixed_width(self, number: int, code: str) -> float | None:
        """The last value of a fixed-width field, unpacked with the `struct` code "d" or "f"; None when absent."""
        chunks = [c for c in self.chunks(number) if len(c) == struct.calcsize(code)]
        return float(struct.unpack("<" + code, chunks[-1])[0]) if chunks else None

    def text(self, number: int) -> str:
        """The last value of a string field; "" when absent; bad UTF-8 is replaced."""
        chunks = self.chunks(number)
        return chunks[-1].decode("utf-8", "replace") if chunks else ""

    def message(self, number: int) -> Message:
        """The last value of a message field; an empty message when absent."""
        chunks = self.chunks(number)
        return Message(chunks[-1]) if chunks else Message(b"")

    def messages(self, number: int) -> list[Message]:
        return [Message(chunk) for chunk in self.chunks(number)]
