"""A drawing as a list of shapes on a sheet of fixed width that grows downwards. Units are points, from the top left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.cards.safe import clean

Face = Literal["plain", "bold", "mono"]
Colour = str  # "#rrggbb"
Measure = Callable[[str, Face, float], float]  # text, face, size -> its width
_CODE = re.compile(r"`([^`]+)`")
LEADING = 1.45  # height of a line, in sizes of its text


class Words(Struct, frozen=True, kw_only=True):
    """Text whose base line begins (or ends, or is centred) at `x`, `y`."""

    x: float
    y: float
    text: str
    size: float
    colour: Colour
    face: Face = "plain"
    align: Literal["left", "right", "center"] = "left"


class Rect(Struct, frozen=True, kw_only=True):
    """A rectangle. `edge`: the colour of its border, "" without one; `fill`: "" leaves it open."""

    x: float
    y: float
    width: float
    height: float
    fill: Colour = ""
    edge: Colour = ""
    alpha: float = 1.0


class Stroke(Struct, frozen=True, kw_only=True):
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    colour: Colour
    width: float = 1.0
    dashed: bool = False


class Dot(Struct, frozen=True, kw_only=True):
    x: float
    y: float
    radius: float
    colour: Colour


Shape = Words | Rect | Stroke | Dot


class Drawing(Struct, kw_only=True):
    """The shapes so far. `y`: how far down the sheet is full. `left`, `width`: of the column that is written in."""

    measure: Measure
    width: float
    left: float = 0.0
    y: float = 0.0
    shapes: list[Shape] = field(default_factory=list)

    def lines(
        self, lines: Sequence[Line], x: float, *, size: float, colour: Colour, code: Colour, most: int = 40
    ) -> None:
        """Draws wrapped lines at `x`, at most so many; the last one then ends in dots. `code`: the colour of code."""
        for line in cut(lines, most):
            self._line(line, x, size=size, colour=colour, code=code)

    def wrapped(self, text: str, width: float, *, size: float, face: Face = "plain") -> list[Line]:
        """The lines of a text that is no wider than `width`."""
        lines: list[Line] = [[]]
        used = 0.0
        for word in _words(text, face):
            for place, part in enumerate(self._pieces(word, size, width)):
                gap = self.measure(" ", face, size) if lines[-1] and word.apart and not place else 0.0
                wide = self.measure(part.text, part.face, size)
                if lines[-1] and used + gap + wide > width:
                    lines.append([])
                    used = gap = 0.0
                lines[-1].append(part)
                used += gap + wide
        return lines if lines != [[]] else []

    def natural(self, text: str, *, size: float, face: Face = "plain") -> float:
        """The width of a text on one line."""
        words = list(_words(text, face))
        gaps = sum(word.apart for word in words[1:]) * self.measure(" ", face, size)
        return sum(self.measure(word.text, word.face, size) for word in words) + gaps

    def _pieces(self, word: Word, size: float, width: float) -> Iterator[Word]:
        """The word, in pieces where it is wider than a whole line."""
        text = word.text
        while self.measure(text, word.face, size) > width and len(text) > 1:
            low, high = 1, len(text)
            while low < high - 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self.measure(text[:middle], word.face, size) <= width else (low, middle)
            yield replace(word, text=text[:low])
            text = text[low:]
        yield replace(word, text=text)

    def _line(self, line: Line, x: float, *, size: float, colour: Colour, code: Colour) -> None:
        """Draws one line. Neighbouring words of one face are one text."""
        space = self.measure(" ", "plain", size)
        runs: list[list[Word]] = []
        for word in line:
            if runs and runs[-1][0].face == word.face and word.apart:
                runs[-1].append(word)
            else:
                runs.append([word])
        for place, run in enumerate(runs):
            x += space if place and run[0].apart else 0.0
            text, face = " ".join(word.text for word in run), run[0].face
            tint = code if face == "mono" else colour
            self.shapes.append(Words(x=x, y=self.y + size * 1.1, text=text, size=size, colour=tint, face=face))
            x += self.measure(text, face, size)
        self.y += size * LEADING


class Word(Struct, frozen=True):
    """`apart`: there is a space before it."""

    text: str
    face: Face
    apart: bool = True


Line = list[Word]


def cut(lines: Sequence[Line], most: int) -> list[Line]:
    """The lines, the last of them ending in dots where some are left out."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], [*lines[most - 1], Word("...", "plain", apart=False)]]


def _words(text: str, face: Face) -> Iterator[Word]:
    apart = True
    for place, part in enumerate(_CODE.split(clean(text, 4000))):
        kind: Face = "mono" if place % 2 else face
        for number, word in enumerate(part.split()):
            yield Word(word, kind, apart or number > 0 or part[:1].isspace())
            apart = False
        apart = part[-1:].isspace() if part else apart
