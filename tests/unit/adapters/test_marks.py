"""Formats that are not loaded for files that they would not recognise."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

from rldk.adapters.base import BaseAdapter, adapters, adapters_for
from rldk.adapters.explore import claims
from rldk.adapters.formats import MARKS
from rldk.adapters.source import File

TESTS = Path(__file__).parents[2]
FILES = sorted(p for name in ("fixtures", "folders") for p in (TESTS / name).rglob("*") if p.is_file())


def made_in(module: str) -> list[type[BaseAdapter]]:
    name = import_module(f"rldk.adapters.formats.{module}").__name__
    return [kind for kind in adapters if kind.__module__ == name]


@pytest.mark.parametrize("module", MARKS)
def test_a_file_without_the_mark_is_not_recognised(module: str) -> None:
    kinds, recognised = made_in(module), 0
    for path, head in [*((path, File(path).head) for path in FILES), (None, b"PAR1\x15\x04")]:
        recognised += any(kind.sniff(File.beginning(head, path)) for kind in kinds)
        bare = reduce(lambda left, mark: left.replace(mark, b" "), MARKS[module], head)
        assert not any(kind.sniff(File.beginning(bare, path)) for kind in kinds)
    assert recognised


def test_what_is_left_out_claims_nothing() -> None:
    for path in FILES:
        file = File(path)
        assert claims(file, adapters_for(file.head)) == claims(file, adapters)
