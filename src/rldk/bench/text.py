"""A measurement for the terminal, and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rldk.bench.tables import Table
from rldk.cards.columns import aligned
from rldk.cards.safe import clean

WIDTH = 100  # of notes; tables are as wide as they are
_MARKUP = str.maketrans({c: f"\\{c}" for c in "\\|*_`<[]#"})


def text(headline: str, tables: Sequence[Table]) -> str:
    """The tables in columns."""
    parts = [clean(headline)]
    for table in tables:
        lines = aligned(table.heads, [[clean(cell, 160) for cell in row] for row in table.rows])
        parts += ["", table.title, *(f"  {line}" for line in lines)]
        note = clean(table.note, 2000)
        parts += textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
    return "\n".join(parts) + "\n"


def markdown(headline: str, tables: Sequence[Table]) -> str:
    """The tables as Markdown, under headings of the third level."""
    parts = [_escaped(headline)]
    for table in tables:
        parts += ["", f"### {table.title}", "", _row(table.heads), "|" + "---|" * len(table.heads)]
        parts += [_row([_escaped(cell) for cell in row]) for row in table.rows]
        parts += ["", _escaped(table.note)] if table.note else []
    return "\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(value: str) -> str:
    return clean(value, 2000).translate(_MARKUP)
