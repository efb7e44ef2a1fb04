"""Lines that strict JSON refuses, made such that it takes them and they mean what `records.parse` makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.core.numerals import floats_of
from rldk.core.records import to_number


def _quoted(*tokens: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((before + token, before + b'"' + token + b'"') for token in tokens for before in (b": ", b":"))


_NAN, _INFINITY = _quoted(b"NaN"), _quoted(b"Infinity", b"-Infinity")


def quote_non_json(text: bytes) -> bytes:
    """One line or many, bare NaN and Infinity put in quotes and bad UTF-8 replaced; `text` itself where it has none.

    A token inside of a string comes out as no JSON, since a quote with a letter after it ends the string: what is made
    here never means something else."""
    for token, pairs in ((b"NaN", _NAN), (b"Infinity", _INFINITY)):
        if token in text:
            for bare, quoted in pairs:
                text = text.replace(bare, quoted)
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            text = text.decode("utf-8", errors="replace").encode()
    return text


def numbers_of(column: Sequence[object]) -> tuple[Sequence[float | None], list[int]]:
    """The numbers that a column of numbers and texts says, None for what is none; where a text says NaN."""
    try:
        sum(column)  # type: ignore[arg-type]  # a quick look: takes numbers only
    except TypeError:
        pass
    else:
        return column, []  # type: ignore[return-value]
    numbers = floats_of(column)  # type: ignore[arg-type]  # None where any is no text
    if numbers is not None:
        return numbers, []
    meaning = {text: to_number(text) for text in {x for x in column if type(x) is str}}  # few texts, often one
    nans = frozenset(text for text, number in meaning.items() if number != number)
    return (
        [meaning[x] if type(x) is str else float(x) if type(x) is bool else x for x in column],  # type: ignore[misc]
        [i for i, x in enumerate(column) if type(x) is str and x in nans] if nans else [],
    )
