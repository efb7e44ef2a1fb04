"""Finds lines that state a step, an epoch or an episode, and asks which of them hold metrics of a format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rldk.adapters.base import BaseAdapter
from rldk.adapters.source import HEAD_BYTES
from rldk.core.text import later

NUMBER = later(rb"(?:[Ee]p(?:ochs?|isodes?|s)?|[Ii]ter(?:ations?)?)\b[^\w\n]{0,21}\d|[Ee]p[\w/ ]{0,12}[^\w\n]{1,12}\d")
Kinds = Sequence[type[BaseAdapter]]


def console_kinds(kinds: Iterable[type[BaseAdapter]]) -> Kinds:
    """The formats that recognise their metrics from a single line."""
    return [kind for kind in kinds if kind.marks.__func__ is not BaseAdapter.marks.__func__]  # type: ignore[attr-defined]


def numbered_lines(text: bytes | bytearray, places: Iterable[int], size: int) -> bytes:
    """The lines of `text[:size]` in which `NUMBER` begins at one of these places or one byte before it."""
    lines = []
    end = -1
    for place in places:
        if place >= end and (NUMBER.match(text, place, size) or (place and NUMBER.match(text, place - 1, size))):
            start, end = _line_around(text, place, size)
            lines.append(text[start:end])
    return b"\n".join(lines)


def marked_lines(text: bytes, kinds: Kinds) -> list[bytes]:
    """The lines with a count that one of the formats recognises as metrics, in order.

    Asking about every line takes a thousand times as long as searching the text. So all formats are asked only about
    lines in which a number follows a word that counts, and each format about lines with its own `uncounted`."""
    from rldk.adapters.sieve import counted_places

    found: dict[int, bytes] = {}
    _ask(_lines_at(text, counted_places(text)), kinds, found)
    for kind in kinds:
        if kind.uncounted:
            _ask(_lines_at(text, (m.start() for m in re.finditer(re.escape(kind.uncounted), text))), [kind], found)
    return [found[start] for start in sorted(found)]


def _ask(lines: list[tuple[int, bytes]], kinds: Kinds, found: dict[int, bytes]) -> None:
    text = b"\n".join(line for _, line in lines)
    able = [kind for kind in kinds if kind.landmark in text]
    for start, line in lines:
        if start not in found and any(kind.marks(line) for kind in able):
            found[start] = line


def _lines_at(text: bytes, places: Iterable[int]) -> list[tuple[int, bytes]]:
    """The start and the text of each line with a `NUMBER` at one of these places, in order."""
    lines = []
    end = -1
    for place in places:
        if place >= end:
            start, end = _line_around(text, place, len(text))
            line = text[start : min(end, start + HEAD_BYTES)]
            if NUMBER.search(line):
                lines.append((start, line))
    return lines


def _line_around(text: bytes | bytearray, place: int, size: int) -> tuple[int, int]:
    end = text.find(b"\n", place, size)
    return text.rfind(b"\n", 0, place) + 1, size if end < 0 else end
