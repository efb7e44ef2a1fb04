"""A measurement as one HTML file, in the style of the reports: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rldk.bench.score import Rate
from rldk.bench.tables import Table
from rldk.cards.page import page
from rldk.cards.safe import escape

WIDTH, HEIGHT = 160, 16  # of the drawn interval, in pixels


def bench_page(corpus: str, headline: str, tables: Sequence[Table]) -> str:
    """The whole page."""
    head = (
        f'<header><h1>rldk bench &middot; <span class="mono">{escape(corpus)}</span></h1>'
        f'<div class="banner info"><span class="badge">MEASURED</span><p>{escape(headline)}</p></div></header>'
    )
    return page([head + "".join(map(_section, tables))], title=f"rldk bench: {corpus}")


def _section(table: Table) -> str:
    drawn = [_drawn(rate) for rate in table.rates]
    heads = "".join(f"<th>{escape(head)}</th>" for head in table.heads) + ("<th></th>" if drawn else "")
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}{f'<td>{picture}</td>' if drawn else ''}</tr>"
        for row, picture in zip_longest(table.rows, drawn, fillvalue="")
    )
    note = f'<p class="soft">{escape(table.note, 4000)}</p>' if table.note else ""
    body = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<section><h2>{escape(table.title)}</h2>{body}{note}</section>"


def _drawn(rate: Rate) -> str:
    """The interval as a line from 0 to 1 with the share as a dot."""
    if rate.share is None:
        return ""
    low, dot, high = (round(4 + x * (WIDTH - 8), 1) for x in (rate.low, rate.share, rate.high))
    middle = HEIGHT / 2
    return (
        f'<svg class="interval" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{rate.share:.0%}, from {rate.low:.0%} to {rate.high:.0%}">'
        f'<path class="grid" d="M4 {middle}H{WIDTH - 4}"/><path class="line" d="M{low} {middle}H{high}"/>'
        f'<circle class="dot" cx="{dot}" cy="{middle}" r="3.5"/></svg>'
    )
