"""How much a card may show and still print on one page: limits from roomy to tight, and an estimate of its length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from rldk.core.view import Bullets, Charts, Commands, Facts, Part, Section, Table

# Measured in Chromium with the print style of report.css: a card that is estimated at n lines is 12 to 14 pixels a line
# high, its verdict included, and a page of Letter paper holds 973 pixels. A test prints cards of all sizes.
PAGE_LINES = 66
CHARACTERS = 150  # of a line
CHART_LINES = 10.5  # of a row of two charts
HEADING, ROW = 2.2, 1.15


class CardRoom(Struct, frozen=True, kw_only=True):
    """How many checks, curves, plots, rows of a table, tables, items of a list and runs are shown, and how many
    characters of a cell and of a line. The JSON has everything."""

    checks: int = 10
    curves: int = 4
    plots: int = 4
    rows: int = 6
    tables: int = 2
    items: int = 5
    missing: int = 8
    subjects: int = 3
    cell: int = 150
    line: int = 200


ROOMS = (
    CardRoom(),
    CardRoom(items=3, missing=4, subjects=2),
    CardRoom(curves=2, plots=2, rows=5, tables=1, items=3, missing=4, subjects=2, cell=120, line=140),
    CardRoom(checks=8, curves=2, plots=2, rows=4, tables=1, items=2, missing=3, subjects=2, cell=100, line=120),
    CardRoom(checks=6, curves=2, plots=2, rows=3, tables=1, items=2, missing=3, subjects=2, cell=80, line=110),
)


def fitting(build: Callable[[CardRoom], Iterable[Section]]) -> tuple[Section, ...]:
    """The sections that `build` makes with the most room that still fits the page."""
    made: tuple[Section, ...] = ()
    for room in ROOMS:
        made = tuple(build(room))
        if sum(map(_lines, made)) <= PAGE_LINES:
            break
    return made


def _lines(section: Section) -> float:
    if all(isinstance(part, Commands) for part in section.parts):
        return 0.0  # a page does not say what to type next
    return HEADING + sum(map(_part, section.parts))


def _part(part: Part) -> float:
    match part:
        case Table():
            note = 1 if part.note else 0
            return ROW + note + sum(_row(row) for row in part.rows)
        case Bullets():
            return sum(math.ceil(len(item) / CHARACTERS) for item in part.items)
        case Charts():
            return CHART_LINES * math.ceil((len(part.curves) + len(part.points)) / 2)
        case Facts():
            return sum(_row(pair) for pair in part.pairs)
        case _:
            return 1.0


def _row(cells: Sequence[str]) -> float:
    """The lines of a row: its text shares the width, and no column takes less than a tenth."""
    wide = max((len(cell) for cell in cells), default=0)
    share = max(0.1, wide / max(1, sum(map(len, cells))))
    return ROW * max(1, math.ceil(wide / (CHARACTERS * share)))
