"""Decodes one TensorBoard event, `tensorflow.TensorBoardEvent` with its summary values, without TensorFlow.

The field numbers come from tensorflow/core/util/event.proto, framework/summary.proto, framework/tensor.proto and
tensorboard/plugins/hparams/plugin_data.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from rldk.adapters.wire.protobuf import Message, WireError

_WALL_TIME, _STEP, _FILE_VERSION, _SUMMARY = 1, 2, 3, 5  # TensorBoardEvent
_TAG, _SIMPLE_VALUE, _TENSOR, _METADATA = 1, 2, 8, 9  # Summary.Value
_DTYPE, _SHAPE, _CONTENT, _STRINGS = 1, 2, 4, 8  # TensorProto
_DT_STRING = 7
# DataType -> (struct code of an element in tensor_content, field of the typed values, their code or "" for varints)
_NUMERIC = {
    1: ("f", 5, "f"),
    2: ("d", 6, "d"),
    3: ("i", 7, ""),
    4: ("B", 7, ""),
    5: ("h", 7, ""),
    6: ("b", 7, ""),
    9: ("q", 10, ""),
    10: ("?", 11, ""),
    17: ("H", 7, ""),
    19: ("e", 13, "half"),
    22: ("I", 16, ""),
    23: ("Q", 17, ""),
}
_MAX_SCALAR_BYTES, _TRIALS = 4096, 8
_EXACT_DTYPES = frozenset({2, 3, 4, 5, 6, 9, 10, 17, 22, 23})


class Value(Struct, frozen=True):
    """One summary value: a number, a text, hparams (`content` of that plugin), or nothing that rldk reads."""

    tag: str
    number: float | None = None
    text: str | None = None
    plugin: str = ""
    content: bytes = b""
    exact: bool = False


class TensorBoardEvent(Struct, frozen=True):
    """One event. `wall_time` is NaN and `step` is 0 when absent."""

    wall_time: float
    step: int
    values: tuple[Value, ...]
    is_version: bool = False


def read_event(payload: bytes) -> TensorBoardEvent:
    """The event in a record. Raises `WireError` when the record is not an event."""
    message = Message(payload)
    time = message.fixed_width(_WALL_TIME, "d")
    return TensorBoardEvent(
        wall_time=math.nan if time is None else time,
        step=message.integer(_STEP),
        values=tuple(_values(message.message(_SUMMARY))),
        is_version=_FILE_VERSION in message,
    )


def _values(summary: Message) -> Iterator[Value]:
    for item in summary.messages(1):
        plugin = item.message(_METADATA).message(1)
        value = _value(item, item.text(_TAG), plugin.text(1))
        yield (
            value
            if value.plugin != "hparams"
            else Value(value.tag, plugin="hparams", content=(plugin.chunks(2) or [b""])[-1])
        )


def _value(item: Message, tag: str, plugin: str) -> Value:
    number = item.fixed_width(_SIMPLE_VALUE, "f")
    if number is not None or _TENSOR not in item:
        return Value(tag, number=number, plugin=plugin)
    tensor = item.message(_TENSOR)
    dtype = tensor.integer(_DTYPE)
    if dtype == _DT_STRING:
        texts = tensor.chunks(_STRINGS)
        return Value(tag, text=texts[0].decode("utf-8", "replace") if texts else None, plugin=plugin)
    if plugin not in ("", "scalars") or dtype not in _NUMERIC or _size(tensor.message(_SHAPE)) != 1:
        return Value(tag, plugin=plugin)
    return Value(tag, number=_element(tensor, dtype), plugin=plugin, exact=dtype in _EXACT_DTYPES)


def _size(shape: Message) -> int:
    """The number of elements; 1 for rank 0."""
    return math.prod(dim.integer(1) for dim in shape.messages(2))


def _element(tensor: Message, dtype: int) -> float | None:
    """The only element of a numeric tensor, from `tensor_content` or from the typed field (0 when left out)."""
    code, field, packed = _NUMERIC[dtype]
    raw = b"".join(tensor.chunks(_CONTENT))
    if raw:
        return float(struct.unpack("<" + code, raw)[0]) if len(raw) == struct.calcsize(code) else None
    if packed in ("f", "d"):
        chunk = b"".join(tensor.chunks(field)) or bytes(struct.calcsize(packed))
        return float(struct.unpack("<" + packed, chunk)[0]) if len(chunk) == struct.calcsize(packed) else None
    integers = tensor.integers(field)
    if not integers:
        return 0.0
    if packed == "half":
        return float(struct.unpack("<e", struct.pack("<H", integers[0] & 0xFFFF))[0])
    return float(integers[0] % 2**64 if dtype == 23 else integers[0])


def hparams(content: bytes) -> dict[str, Any]:
    """The hyper-parameters in the `hparams` plugin data of a session start; {} for other kinds of data."""
    values: dict[str, Any] = {}
    for entry in Message(content).message(3).messages(1):
        value = entry.message(2)
        if 2 in value:
            values[entry.text(1)] = value.fixed_width(2, "d")
        elif 3 in value:
            values[entry.text(1)] = value.text(3)
        elif 4 in value:
            values[entry.text(1)] = bool(value.integer(4))
    return values


def value_distance(payload: bytes, event: TensorBoardEvent) -> int | None:
    """How far before the end of `payload` the float32 of its only scalar begins; None when this is unclear.

    The function tries places: at the right one, other bytes change the number and nothing else in the event."""
    number = event.values[0].number if len(event.values) == 1 else None
    if number is None or event.values[0].exact or len(payload) > _MAX_SCALAR_BYTES:
        return None
    here = struct.pack("<f", number)
    other = bytes(b ^ 0x5A for b in here)
    place = payload.rfind(here)
    for _ in range(_TRIALS):
        if place < 0:
            break
        try:
            values = read_event(payload[:place] + other + payload[place + 4 :]).values
        except (WireError, struct.error):
            values = ()
        if len(values) == 1 and struct.pack("<f", values[0].number or 0.0) == other:
            return len(payload) - place
        place = payload.rfind(here, 0, place + 3)
    return None
