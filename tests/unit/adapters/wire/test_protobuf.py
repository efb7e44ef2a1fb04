from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.wire.protobuf import Message, WireError, varint


def encoded(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@given(st.integers(0, 2**64 - 1), st.binary(max_size=4))
def test_varint_round_trip(value: int, rest: bytes) -> None:
    assert varint(encoded(value) + rest, 0) == (value, len(encoded(value)))


@pytest.mark.parametrize("data", [b"", b"\xff" * 3, b"\xff" * 11])
def test_varint_without_end(data: bytes) -> None:
    with pytest.raises(WireError):
        varint(data, 0)


def test_fields_of_every_wire_type() -> None:
    # the examples of protobuf.dev/programming-guides/encoding: field 1 = 150, field 2 = "testing"
    fixed = b"\x19" + struct.pack("<d", 0.5) + b"\x25" + struct.pack("<f", 0.25)
    message = Message(b"\x08\x96\x01" + b"\x12\x07testing" + fixed + b"\x2a\x03\x08\x96\x01")
    assert (message.integer(1), message.text(2), message.message(5).integer(1)) == (150, "testing", 150)
    assert (message.fixed_width(3, "d"), message.fixed_width(4, "f"), message.fixed_width(9, "d")) == (0.5, 0.25, None)


def test_repeated_integers_packed_and_not_and_negative() -> None:
    packed = b"\x32\x06\x03\x8e\x02\x9e\xa7\x05"  # field 6 = [3, 270, 86942], the guide's example
    assert Message(packed + b"\x30" + b"\xff" * 9 + b"\x01").integers(6) == [3, 270, 86942, -1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "longer"),  # declares 2**63 - 1 bytes
        (b"\x09\x00", "longer"),
        (b"\x0b", "wire type 3"),
    ],
)
def test_what_cannot_be_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        Message(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    try:
        message = Message(data)
    except WireError:
        return
    assert all(isinstance(message.integer(n), int) and isinstance(message.text(n), str) for n in range(16))
