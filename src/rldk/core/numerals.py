"""Reads many numbers that are written as text, at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # a live monitor reads texts and starts without numpy
    import numpy as np
    from numpy.typing import NDArray

# a logger writes JSON numbers, and the JSON decoder takes a fifth of the time of float()
_decode = msgspec.json.Decoder(list[float]).decode
_decode_some = msgspec.json.Decoder(list[float | None]).decode
_EMPTY = {"": "null", None: "null"}


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


def cells_of(block: bytes, width: int, delimiter: str = ",") -> NDArray[np.float64] | None:
    """The numbers of many lines of `width` cells, shape (lines, width), NaN for an empty cell. `width`: 2 or more.

    None if a cell is neither empty nor a plain finite number, or a line has another width. An empty cell and the
    delimiter before it become a blank, which JSON skips. Then as many numbers as full cells means one in each of
    them."""
    import numpy as np

    if b"\r" in block:
        block = (block + b"\n").replace(b"\r\n", b"\n")[:-1]
    text = bytearray(b"[0%c%b]" % (ord(delimiter), block))  # the 0: so that each cell has a delimiter before it
    marks = np.frombuffer(text, dtype=np.uint8)
    before = np.flatnonzero((marks == ord(delimiter)) | (marks == ord("\n")))
    starts_line = marks[before] == ord("\n")
    lines = 1 + np.count_nonzero(starts_line)
    if before.size != lines * width or not starts_line[width::width].all():
        return None
    empty = np.diff(before, append=len(text) - 1) == 1
    marks[before] = ord(",")
    marks[before[empty]] = ord(" ")
    try:
        numbers = _decode(text)
    except ValueError:
        return None
    cells = np.full(before.size, np.nan)
    if len(numbers) != 1 + before.size - np.count_nonzero(empty):
        return None
    cells[~empty] = numbers[1:]
    return cells.reshape(lines, width)
