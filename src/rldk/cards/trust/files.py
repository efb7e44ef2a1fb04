"""The files of a card: JSON is the truth, and a page, Markdown and a picture show it."""

from __future__ import annotations

import os
from pathlib import Path

from rldk.cards import markdown, page, wire
from rldk.cards.trust.card import Card
from rldk.core.files import save
from rldk.errors import MissingExtra


def write_card(card: Card, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Writes KIND_card.json, .html, .md and, where matplotlib is installed, .png; returns their paths.

    The same card gives the same bytes. Raises `OutputError`."""
    stem = Path(folder) / card.kind
    view = card.view()
    made = [save(stem.with_suffix(".json"), card_json(card), parents=True)]
    made.append(save(stem.with_suffix(".html"), page.render(view)))
    made.append(save(stem.with_suffix(".md"), markdown.render(view)))
    try:
        from rldk.cards import png

        drawn = png.render(view)
    except MissingExtra:
        return tuple(made)
    return (*made, save(stem.with_suffix(".png"), drawn))


def card_json(card: Card) -> str:
    """The text of KIND_card.json, as its schema (docs/card.schema.json) describes it."""
    return wire.dumps(wire.document(card)) + "\n"
