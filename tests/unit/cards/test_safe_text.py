"""Text from files cannot drive a terminal or a page."""

from __future__ import annotations

import html
import unicodedata

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.cards.safe import clean, escape


@each_of(
    ("hostile", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07name", "name"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bPq#0\x1b\\after", "after"),
        ("a\rb\nc\td", "a b c d"),
        ("abc\u202egpj", "abcgpj"),
        ("bell\x07\x08\x00", "bell"),
        ("torn \x1b]52;c;AAAA", "torn "),
        ("half\ud800", "half\ufffd"),
    ],
)
def test_sequences_are_removed_and_text_is_kept(hostile: str, left: str) -> None:
    assert clean(hostile) == left


@given(st.text(st.characters(), max_size=60))
def test_nothing_that_is_left_can_control_a_terminal(text: str) -> None:
    left = clean(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} for c in left)
    left.encode("utf-8")


@given(st.text(st.characters(), max_size=60))
def test_escaped_text_has_no_markup_and_reads_the_same(text: str) -> None:
    safe = escape(text)
    assert not set(safe) & set("<>\"'")
    assert html.unescape(safe) == clean(text, 2000)


def test_long_text_is_cut() -> None:
    assert len(clean("x" * 10_000, 80)) == 80
