"""A table as lines of text."""

from __future__ import annotations

from collections.abc import Sequence


def align_columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text in columns: one line for the heads and one for each row."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = [heads, *rows]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines]
