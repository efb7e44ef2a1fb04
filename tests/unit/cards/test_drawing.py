"""Words wrapped by the width of their letters."""

from __future__ import annotations

from examples import each_of

from rldk.cards.drawing import Drawing


@each_of(
    ("width", "pieces"),
    [(1.0, ["a", "b", "c", "d", "e"]), (2.0, ["ab", "cd", "e"]), (4.9, ["abcd", "e"]), (5.0, ["abcde"])],
)
def test_a_word_that_is_too_wide_is_cut_where_the_line_is_full(width: float, pieces: list[str]) -> None:
    drawing = Drawing(measure=lambda text, face, size: float(len(text)), width=99.0)
    lines = drawing.wrapped("abcde", width, size=1.0)
    assert [[word.text for word in line] for line in lines] == [[piece] for piece in pieces]


def test_words_share_a_line_up_to_its_very_width() -> None:
    drawing = Drawing(measure=lambda text, face, size: float(len(text)), width=99.0)
    assert [len(drawing.wrapped("ab cd", width, size=1.0)) for width in (4.9, 5.0)] == [2, 1]
    assert drawing.natural("ab cd", size=1.0) == 5.0
