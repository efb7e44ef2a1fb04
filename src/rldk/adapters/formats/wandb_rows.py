"""The history rows of a W&B file that are plain: every item is one short key and a number as `value_json`.

Nearly all rows are, and W&B's core shuffles the items of each. A few regular expressions read such a row; whatever
they do not expect goes to the decoder of protobuf."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import DecodeError
from msgspec.json import Decoder

from rldk.adapters.wire.protobuf import Message, WireError, varint

# Items of one short key and a number. The groups: size and text of the key, the size of the number, its text.
_ITEM = re.compile(rb"\n.[\n\x12](.[^\x82]*+)\x82\x01(.)([-+.0-9eE]++)", re.DOTALL)
_FRAME = 6  # bytes of such an item besides the groups `key` and `text`
_ANY_ITEMS = re.compile(rb"(?:\n.[\n\x12].[^\x82]*+\x82\x01.[-+.0-9eE]++)*+", re.DOTALL)
_KEYS = re.compile(rb"\n.[\n\x12](.[^\x82]*+)\x82\x01.[-+.0-9eE]++", re.DOTALL)
# the number of the record, and a history or a summary with its size
_RECORD = re.compile(rb"\x08[\x80-\xff]{0,8}[\0-\x7f]([\x12\x1a])[\x80-\xff]{0,4}[\0-\x7f]")
_decode_numbers = Decoder(list[float]).decode
_STEP = b"\x12"  # the only field that follows the items of a history
_NUM = b"\x08"  # the only field of a step


def only_field(record: bytes) -> tuple[int, bytes] | None:
    """The number and the content of the only field of a record besides the record's own number; None for records of
    another kind."""
    found = _RECORD.match(record)
    if found is None:
        return None
    size, at = varint(record, found.end(1))
    return (found[1][0] >> 3, record[at:]) if at + size == len(record) else None


def plain_keys(data: bytes) -> Sequence[bytes] | None:
    """The keys, each after its size, of a history or summary whose items are all plain; None for any other."""
    return _KEYS.findall(data) if _ANY_ITEMS.fullmatch(data) else None


def plain_row(data: bytes) -> tuple[Sequence[bytes], list[float], int] | None:
    """The keys, each after its size, the numbers and the `_step` (-1 without one) of a history whose items are all
    plain. The sizes of the keys are as stated in the file; they may be wrong.

    None for any other, and for a number that is not JSON or too large."""
    found = _ITEM.findall(data)
    if not found:
        return None
    keys, sizes, texts = zip(*found, strict=True)
    numbers = b",".join(texts)
    end = (_FRAME - 1) * len(keys) + 1 + len(b"".join(keys)) + len(numbers)
    try:
        if bytes(map(len, texts)) != b"".join(sizes):
            return None  # an item is of another kind
        return keys, _decode_numbers(b"[%b]" % numbers), _step(data[end:])
    except (ValueError, DecodeError):  # too long for one byte, no number, or no step
        return None


def _step(rest: bytes) -> int:
    """The `_step` in what follows the items; -1 where nothing does. Raises `ValueError` for anything else."""
    if not rest:
        return -1
    if rest[:1] != _STEP or len(rest) != 2 + sum(rest[1:2]):
        raise WireError("an item of another kind lies between")
    if rest[2:3] == _NUM:
        number, end = varint(rest, 3)
        if end == len(rest) and number < 1 << 63:
            return number
    return Message(rest).message(2).integer(1, -1)
