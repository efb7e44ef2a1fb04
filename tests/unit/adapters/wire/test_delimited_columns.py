"""Columns read at once mean what their cells mean one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.wire.columns import numbers_of_cells, steps_of_cells
from rldk.adapters.wire.delimited import Records, cell
from rldk.core.decoding.mending import numbers_of
from rldk.core.numerals import cells_of
from rldk.core.records import BadLine, to_number, to_step

ODD = [
    "",
    " ",
    "nan",
    "-inf",
    "True",
    "1_0",
    "1,2",
    "[1",
    "0x1",
    "+5",
    ".5",
    "5.",
    "01",
    "1e400",
    "null",
    "-0",
    " -0 ",
    "-0.0",
    " 7 ",
    "n/a",
    "٣",
]
TEXT = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers().map(str), st.sampled_from(ODD)
)


def _worded(numbers: list[Any]) -> list[str]:
    return [repr(x if x is None else float(x)) for x in numbers]


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_numbers(texts: list[str]) -> None:
    told = [cell(text.strip()) for text in texts]
    numbers, stated = numbers_of_cells(texts)
    assert _worded(list(numbers)) == _worded(told)
    assert stated == [i for i, x in enumerate(told) if x is not None and x != x]


@given(st.lists(st.one_of(TEXT, st.floats(), st.none(), st.booleans()), min_size=1, max_size=8))
def test_numbers_among_texts(column: list[object]) -> None:
    told = [x if x is None else to_number(x) for x in column]
    numbers, stated = numbers_of(column)
    assert _worded(list(numbers)) == _worded(told)
    assert stated == [i for i, (x, n) in enumerate(zip(column, told, strict=True)) if isinstance(x, str) and n != n]


@given(st.lists(st.one_of(st.integers(-9, 10**17).map(str), TEXT), min_size=1, max_size=5))
def test_steps(texts: list[str]) -> None:
    try:
        told = [to_step(text.strip() or None) for text in texts]
    except BadLine:
        told = [None]
    try:
        steps: list[int | None] = list(steps_of_cells(texts))
    except ValueError:
        steps = [None]
    assert steps == (told if None not in told else [None])


PLAIN = st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers().map(str), st.just(""))


def _told(rows: list[list[str]]) -> list[list[float]]:
    """The number that each text is when it stands alone, NaN for an empty one."""
    return [[np.nan if (x := cell(text.strip())) is None else x for text in row] for row in rows]


def _rows(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), min_size=1)
    )


@given(_rows(PLAIN), st.sampled_from(",\t;"), st.sampled_from(["\n", "\r\n"]))
def test_many_plain_lines_become_cells(rows: list[list[str]], delimiter: str, newline: str) -> None:
    cells = cells_of(newline.join(map(delimiter.join, rows)).encode(), len(rows[0]), delimiter)
    assert cells is not None
    assert cells.tobytes() == np.array(_told(rows), dtype=float).tobytes()


@given(_rows(st.one_of(PLAIN, TEXT)), st.sampled_from(",\t;"))
def test_other_lines_become_no_cells_or_the_same_ones(rows: list[list[str]], delimiter: str) -> None:
    block = "\n".join(map(delimiter.join, rows))
    cells = cells_of(block.encode(), len(rows[0]), delimiter)
    if cells is not None:
        split = [line.split(delimiter) for line in block.split("\n")]
        assert all(cell(text.strip()) is not None or not text for row in split for text in row)
        assert cells.tobytes() == np.array(_told(split), dtype=float).tobytes()


LINE = st.sampled_from(["1,2,3", "4,,5", "", " ", '6,"a\nb",7', "# 1,2,3", "8,9", "10,é,11", "12,13,14\r", "\0"])


@given(st.lists(LINE, max_size=12), st.integers(1, 40))
def test_chunks_make_no_difference(lines: list[str], size: int) -> None:
    text = "\n".join(["step,a,b", "0,1,2", *lines, ""]).encode()
    whole, parts = Records(), Records()
    at_once = [*whole.feed(text), *whole.finish()]
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert [*(r for piece in pieces for r in parts.feed(piece)), *parts.finish()] == at_once
