"""Views as one SVG. Its text is drawn as outlines, so that it looks the same everywhere; its title is text."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.cards.canvas import draw, measure
from rldk.cards.picture import picture
from rldk.core.registry import renderers
from rldk.core.view import View


def render(views: View | Sequence[View], *, everything: bool = False) -> str:
    """The text of the file. Raises `MissingExtra` without matplotlib."""
    return draw(picture(views, measure, everything=everything), "svg").decode()


renderers.register("svg", render)
