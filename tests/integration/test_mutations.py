"""The changes that scripts/mutate.py makes."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mutate import Copy, Server
from mutations import Change, applied, changes, is_program, runs_on_import

TEXT = '''\
LIMIT = 0.5

def f(a: int, b: int = 3) -> int | None:
    """A text."""
    if not a and b < LIMIT:
        print("ä", a + b)
        return a
    b -= 1
    return None
'''
EXPECTED = {
    ("float 30 %", "0.5", None),
    ("int off by one", "3", None),  # a default is made on import
    ("if negated", "not a and b < LIMIT", 3),
    ("and/or", "not a and b < LIMIT", 3),
    ("not dropped", "not a", 3),
    ("comparison edge", "b < LIMIT", 3),
    ("comparison negated", "b < LIMIT", 3),
    ("call removed", 'print("ä", a + b)', 3),
    ("+ and -", "a + b", 3),
    ("return None", "return a", 3),
    ("+ and -", "b -= 1", 3),
    ("int off by one", "1", 3),
}


def made(tmp_path: Path, seed: int = 1) -> list[Change]:
    (tmp_path / "m.py").write_text(TEXT)
    return changes(tmp_path, Path("m.py"), random.Random(seed))


def test_every_kind_is_found_where_it_can_be_and_in_which_function(tmp_path: Path) -> None:
    assert {(c.kind, c.old, c.function) for c in made(tmp_path)} == EXPECTED


def test_a_change_leaves_a_program_that_differs_in_its_place_only(tmp_path: Path) -> None:
    for change in made(tmp_path):
        text = applied(TEXT.encode(), change)
        assert is_program(text)
        assert text != TEXT.encode()
        assert text.decode().replace(change.new, change.old, 1) == TEXT or change.new in TEXT
        assert TEXT.splitlines()[change.line - 1].find(change.old) >= 0


def test_the_same_seed_makes_the_same_changes(tmp_path: Path) -> None:
    assert made(tmp_path) == made(tmp_path)


def test_a_function_that_is_called_on_import_is_told_apart() -> None:
    text = (
        b"def f():\n    return 1\n\ndef g():\n    return f()\n\n@g\n@h(f)\ndef i():\n    return 2\n\nTABLE = {1: f()}\n"
    )
    assert [runs_on_import(text, line) for line in (1, 4, 7)] == [True, False, False]
    assert not runs_on_import(text.replace(b"f()}", b"f}"), 1)


class Small(Copy):
    """A package of one function with its test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "small.py").write_text("def f():\n    return 1\n")
        (root / "test_small.py").write_text("import small\n\ndef test_f():\n    assert small.f() == 1\n")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-q", "-p", "mutation_plugin", "-p", "no:cacheprovider", *words]

    def env(self, **more: str) -> dict[str, str]:
        scripts = str(Path(__file__).parents[2] / "scripts")
        return {**os.environ, "PYTHONPATH": f"{self.root}{os.pathsep}{scripts}", **more}


@pytest.mark.slow
def test_what_is_changed_once_the_server_is_there_stays_in_no_fork(tmp_path: Path) -> None:
    copy, names = Small(tmp_path), ["test_small.py::test_f"]
    server, path = Server(copy), tmp_path / "small.py"
    path.write_text("def f():\n    return 2\n")
    assert server.failed(names, 1.0, path, 1) == names[0]
    assert server.failed(names, 1.0) == "", "the module was imported before the change"
    server.ask.close()
    server.answer.close()
    assert server.process.wait() == 0
