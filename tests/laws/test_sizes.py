"""Small files, small functions, plain names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "rldk"
FILES = sorted(SRC.rglob("*.py"))
BANNED = {"utils", "helpers", "common", "misc", "manager"}


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_file_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_functions_have_at_most_60_lines_and_5_positional_parameters(path: Path) -> None:
    for function in _functions(path):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= 60, f"{function.name} has {length} lines"
        positional = [a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
        command = any("command" in ast.dump(d) or "option" in ast.dump(d) for d in function.decorator_list)
        assert len(positional) <= 5 or command, f"{function.name} takes {len(positional)} positional parameters"


def test_no_module_is_called_by_a_word_that_says_nothing() -> None:
    assert not [p for p in FILES if p.stem in BANNED]
