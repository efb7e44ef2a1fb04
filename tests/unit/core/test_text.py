from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rldk.core.text import legible


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_becomes_one_that_a_file_can_hold(text: str) -> None:
    made = legible(text)
    assert made.encode() or not text
    assert made == text or "\ufffd" in made or any("\ud800" <= c <= "\udfff" for c in text)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert legible("\ud83d\ude00 \ud800") == "\U0001f600 \ufffd"
