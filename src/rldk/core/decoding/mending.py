"""Rewrites lines that strict JSON refuses, so that it accepts them and they mean what `records.parse` reads in them."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.core.numerals import floats_of
from rldk.core.records import to_number

Forms = tuple[tuple[bytes, bytes], ...]


def _quoted(*tokens: bytes) -> Forms:
    return tuple((before + token, before + b'"' + token + b'"') for token in tokens for before in (b": ", b":"))


_NAN, _INFINITY = _quoted(b"NaN"), _quoted(b"Infinity", b"-Infinity")


def forms_in(text: bytes) -> Forms:
    """The ways in which NaN and Infinity stand in the text, each with what replaces it."""
    tokens = ((b"NaN", _NAN), (b"Infinity", _INFINITY))
    return tuple(pair for token, pairs in tokens if token in text for pair in pairs if pair[0] in text)


def quote_non_json(text: bytes, forms: Forms | None = None) -> bytes:
    """Puts bare NaN and Infinity in quotes and replaces bad UTF-8, in one line or many. Returns `text` itself where
    nothing changes.

    A token inside of a string turns into invalid JSON, because a quote with a letter after it ends the string. The
    result therefore never means something else. `forms`: those to look for, where earlier text of the same file has
    told; another one then stays, and is no JSON."""
    for bare, quoted in forms_in(text) if forms is None else forms:
        if bare in text:
            text = quoted.join(text.split(bare))  # of many, this is quicker than `replace`
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            text = text.decode("utf-8", errors="replace").encode()
    return text


def numbers_of(column: Sequence[object]) -> tuple[Sequence[float | None], list[int]]:
    """The numbers of a column of numbers and texts, None for a value that is no number; and where a text says NaN."""
    try:
        sum(column)  # type: ignore[arg-type]  # a quick look: takes numbers only
    except TypeError:
        pass
    else:
        return column, []  # type: ignore[return-value]
    numbers = floats_of(column)  # type: ignore[arg-type]  # None where any is no text
    if numbers is not None:
        return numbers, []
    # there are few different texts, often one
    meaning = {text: to_number(text) for text in {x for x in column if type(x) is str}}
    nans = frozenset(text for text, number in meaning.items() if number != number)
    return (
        [meaning[x] if type(x) is str else float(x) if type(x) is bool else x for x in column],  # type: ignore[misc]
        [i for i, x in enumerate(column) if type(x) is str and x in nans] if nans else [],
    )
