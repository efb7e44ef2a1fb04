"""Formats that are not loaded for files that they would not recognise."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest
from examples import each_of, every
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters import consoles, formats
from rldk.adapters.base import BaseAdapter, _able, adapters, adapters_for
from rldk.adapters.explore import claims
from rldk.adapters.source import File

TESTS = Path(__file__).parents[2]
BOX = b"----\n| loss | 0.5 |\n| EpRewMean | 3.5 |\n| Steps | %d |\n----\n"
EDGE = "\u2500" * 35
MADE = [
    b"PAR1\x15\x04",
    b'{"cells": [{"cell_type": "code"}], "nbformat": 4}',
    BOX % 1 + BOX % 2,
    b"".join(b"Epoch %d/9\n10/10 [====] - 1s 2ms/step - loss: 0.%d - accuracy: 0.5\n" % (i, i) for i in range(1, 6)),
    b"".join(
        b"step           %d.0000\nloss           0.5120\nmean_reward    1.5000\nName: %d, dtype: float64\n" % (i, i)
        for i in range(3, 8)
    ),
    "".join(
        f"\u256d{EDGE} Metrics {EDGE}\u256e\n\u2502  objective  scores: 0.5 | verifiable_correct_rate: 0.25 \u2502\n"
        f"\u2502  other      training_step: {i} | lr: 5.00e-07  \u2502\n\u2570{EDGE * 2}\u256f\n"
        for i in range(1, 6)
    ).encode(),
    b'{"input": "2+2?", "output": "4", "score": 1.0, "step": 1}\n',
    b"<table><tr><th>Step</th><th>Training Loss</th></tr><tr><td>1</td><td>0.5</td></tr>"
    b"<tr><td>2</td><td>0.4</td></tr></table>",
]
FILES = sorted(p for name in ("fixtures", "folders") for p in (TESTS / name).rglob("*") if p.is_file())


PACKAGES = (consoles, formats)
MARKS = {
    f"{package.__name__}.{name}": marks for package in (consoles, formats) for name, marks in package.MARKS.items()
}
NOT_JSON = [f"{package.__name__}.{name}" for package in PACKAGES for name in sorted(package.NOT_JSON)]


def made_in(module: str) -> list[type[BaseAdapter]]:
    name = import_module(module).__name__
    return [kind for kind in adapters if kind.__module__ == name]


@pytest.mark.parametrize("module", every(3, MARKS))
def test_a_file_without_the_mark_is_not_recognised(module: str) -> None:
    kinds, recognised = made_in(module), 0
    for path, head in [*((path, File(path).head) for path in FILES), *((None, head) for head in MADE)]:
        recognised += any(kind.sniff(File.beginning(head, path)) for kind in kinds)
        bare = reduce(lambda left, mark: left.replace(mark, b" "), MARKS[module], head)
        assert not any(kind.sniff(File.beginning(bare, path)) for kind in kinds)
    assert recognised


def _loaded_for(head: bytes) -> set[str]:
    """The modules with marks that are left in, by a plain search."""
    is_json = head.lstrip().startswith(b"{")
    found = {module for module, marks in MARKS.items() if any(mark in head for mark in marks)}
    return found - {*NOT_JSON} if is_json else found


@given(st.lists(st.one_of(st.sampled_from(sorted({*sum(MARKS.values(), ())})), st.binary(max_size=4)), max_size=6))
def test_marks_are_found_wherever_they_stand(parts: list[bytes]) -> None:
    for glue in (b"", b"\n", b"7"):
        head = glue.join(parts)
        assert {*_able(head)} & {*MARKS} == _loaded_for(head)


def test_marks_are_found_in_genuine_files() -> None:
    assert all({*_able(head)} & {*MARKS} == _loaded_for(head) for head in [File(path).head for path in FILES] + MADE)


@each_of("module", NOT_JSON)
def test_json_is_not_recognised(module: str) -> None:
    kinds = made_in(module)
    for path in FILES:
        brace = File.beginning(b"\n {" + File(path).head, path)
        assert not any(kind.sniff(brace) for kind in kinds)


@pytest.mark.slow
def test_what_is_left_out_claims_nothing() -> None:
    for path in FILES:
        file = File(path)
        sure = {kind for kind in adapters if kind.sniff(file)}
        assert {kind for _, kind in claims(file, adapters)} == sure <= set(adapters_for(file.head))
