"""Finds the tables on a page: HTML tables and Markdown pipe tables, as headers and rows of texts."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import NamedTuple

from rldk.core.text import later

MAX_ROWS = 1_000_000
_TAG = later(r"<[^<>]{0,2000}>")
_CELL = later(r"<t[hd](?:\s[^<>]{0,500})?>")
_PIPES = later(r"\s{0,40}\|.{1,8000}\|\s{0,40}$")
_RULE = later(r"[\s|:-]+")


class Sheet(NamedTuple):
    """A table: the names on top, and rows with one text for each name. `offset`: its first character in the text."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    offset: int


def sheets(text: str) -> Iterator[Sheet]:
    """The tables of a text in order, HTML tables first. Rows of another width are left out. Time is linear in the
    text."""
    start = 0
    while (begin := text.find("<table", start)) >= 0:
        end = text.find("</table>", begin)
        end = len(text) if end < 0 else end
        rows = [_row(part) for part in text[begin:end].split("<tr")[1 : MAX_ROWS + 2]]
        yield from _sheet(rows, begin)
        start = end
    yield from _piped(text)


def _row(part: str) -> tuple[str, ...]:
    cells = []
    for piece in _CELL.split(part)[1:]:
        end = piece.find("</t")
        cells.append(html.unescape(_TAG.sub("", piece[: end if end >= 0 else len(piece)])).strip())
    return tuple(cells)


def _piped(text: str) -> Iterator[Sheet]:
    rows: list[tuple[str, ...]] = []
    ruled, start, offset = False, 0, 0
    for line in [*text.splitlines(keepends=True), ""]:
        if _PIPES.match(line):
            start = start if rows else offset
            if len(rows) == 1 and _RULE.fullmatch(line):
                ruled = True
            elif len(rows) <= MAX_ROWS:
                rows.append(tuple(cell.strip() for cell in line.strip()[1:-1].split("|")))
        elif rows:
            if ruled:
                yield from _sheet(rows, start)
            rows, ruled = [], False
        offset += len(line)


def _sheet(rows: list[tuple[str, ...]], offset: int) -> Iterator[Sheet]:
    if rows and len(rows[0]) > 1:
        yield Sheet(rows[0], [row for row in rows[1:] if len(row) == len(rows[0])], offset)
