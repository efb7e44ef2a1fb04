"""Reads many numbers that are written as text, at once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from operator import methodcaller

import msgspec

# a logger writes JSON numbers, and the JSON decoder takes a fifth of the time of float()
_decode = msgspec.json.Decoder(list[float]).decode
_decode_some = msgspec.json.Decoder(list[float | None]).decode
_EMPTY = {"": "null", None: "null"}
_GAP = -7.018402573e-13  # stands for an empty cell while a table is decoded; a number of any size, quick to read
# twice, for two gaps in a row
_GAPS = tuple((mark, mark[:1] + repr(_GAP).encode() + mark[1:]) for mark in (b",,", b",,", b"[,", b",]"))
_COMMAS = methodcaller("count", b",")


def floats_of(texts: Sequence[str | None]) -> Sequence[float | None] | None:
    """The result of `records.to_number` for each text, None for an empty one. None if they are not all plain finite
    numbers.

    A text with a comma would make more numbers than there are texts, or no JSON."""
    try:
        numbers: Sequence[float | None] = _decode("[" + ",".join(texts) + "]")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        try:
            numbers = _decode_some("[" + ",".join([text or _EMPTY[text] for text in texts]) + "]")
        except (KeyError, TypeError, ValueError):
            return None
    return numbers if len(numbers) == len(texts) else None


def columns_of(block: bytes, width: int) -> list[array[float]] | None:
    """The columns of many lines of `width` cells with commas between them, NaN for an empty cell. None if not every
    cell is a plain finite number or empty, or a line has another width."""
    import numpy as np

    if set(map(_COMMAS, block.split(b"\n"))) != {width - 1}:
        return None
    text, gaps = b"[" + block.replace(b"\n", b",") + b"]", 0
    if any(mark in text for mark, _ in _GAPS):
        for mark, full in _GAPS:
            parts = text.split(mark)
            gaps += len(parts) - 1
            text = full.join(parts)  # of many, these two are quicker than `replace`
    try:
        cells = np.array(_decode(text), dtype=np.float64)
    except ValueError:
        return None
    if gaps:
        empty = cells == _GAP
        if np.count_nonzero(empty) != gaps:  # the table has that number itself
            return None
        cells[empty] = np.nan
    return [array("d", column.tobytes()) for column in cells.reshape(-1, width).T]
