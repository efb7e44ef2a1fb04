"""Small files, small functions, plain names."""

from __future__ import annotations

import ast
from pathlib import Path

from sources import nodes

SRC = Path(__file__).parents[2] / "src" / "rldk"
FILES = sorted(SRC.rglob("*.py"))
BANNED = {"utils", "helpers", "common", "misc", "manager"}


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [*nodes(path, ast.FunctionDef), *nodes(path, ast.AsyncFunctionDef)]


def _wrong_with(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    length = (function.end_lineno or 0) - function.lineno + 1
    positional = [a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
    many = len(positional) > 5
    command = many and any("command" in ast.dump(d) or "option" in ast.dump(d) for d in function.decorator_list)
    return [
        *([f"{function.name} has {length} lines"] if length > 60 else []),
        *([f"{function.name} takes {len(positional)} positional parameters"] * (many and not command)),
    ]


def test_files_have_at_most_400_lines() -> None:
    assert not {str(p.relative_to(SRC)) for p in FILES if len(p.read_text().splitlines()) > 400}


def test_functions_have_at_most_60_lines_and_5_positional_parameters() -> None:
    assert not [f"{p.relative_to(SRC)}: {wrong}" for p in FILES for f in _functions(p) for wrong in _wrong_with(f)]


def test_no_module_is_called_by_a_word_that_says_nothing() -> None:
    assert not [p for p in FILES if p.stem in BANNED]


def test_no_folder_holds_more_than_35_files() -> None:
    folders = {path.parent for path in FILES}
    assert not [str(f.relative_to(SRC)) for f in folders if len(list(f.glob("*.py"))) > 35]
