"""Views as one PNG."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.cards.canvas import draw, measure
from rldk.cards.picture import picture
from rldk.core.registry import renderers
from rldk.core.view import View


def render(views: View | Sequence[View], *, everything: bool = False) -> bytes:
    """The bytes of the file. Raises `MissingExtra` without matplotlib."""
    return draw(picture(views, measure, everything=everything), "png")


renderers.register("png", render)
