from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rldk.core.text import first_few, legible


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_becomes_one_that_a_file_can_hold(text: str) -> None:
    made = legible(text)
    assert made.encode() or not text
    assert made == text or "\ufffd" in made or any("\ud800" <= c <= "\udfff" for c in text)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert legible("\ud83d\ude00 \ud800") == "\U0001f600 \ufffd"


def test_the_first_few_are_named_and_the_others_are_counted() -> None:
    names = ["a", "b", "c"]
    assert first_few([], 2) == ""
    assert first_few(names, 3) == first_few(names, 4) == "a, b, c"
    assert first_few(names, 2) == "a, b and 1 more"
    assert first_few(names, 2, count=1236) == "a, b and 1,234 more"
    assert first_few(names, 3, count=3) == "a, b, c"
