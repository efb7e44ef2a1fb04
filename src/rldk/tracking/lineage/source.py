"""The source of a function as a digest, and again from its file without importing it."""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rldk.provenance.inside import is_plain_file
from rldk.tracking.lineage.chain import LineageCode

MAX_SOURCE = 16 << 20


def code_of(function: Callable[..., Any]) -> LineageCode | None:
    """The name and the source of a function; None where it has none, as in C or typed at a prompt."""
    plain = inspect.unwrap(function)
    name = str(getattr(plain, "__qualname__", type(plain).__qualname__))
    path = inspect.getsourcefile(plain) if inspect.isfunction(plain) or inspect.isclass(plain) else None
    text = source_in(Path(path), name) if path is not None and Path(path).is_file() else None
    if text is None:
        try:
            text, path = inspect.getsource(plain), None
        except (OSError, TypeError):
            return None
    return LineageCode(name=name, digest=digest_of(text), path=None if path is None else os.path.realpath(path))


def digest_of(text: str) -> str:
    """The digest of a source. Indentation of the whole and spaces at its end do not count."""
    return f"sha256:{hashlib.sha256(textwrap.dedent(text).strip().encode('utf-8', 'replace')).hexdigest()}"


def source_in(path: Path, name: str) -> str | None:
    """The text of the function or class called `name` in a file, with its decorators; None when the file has none, or
    several."""
    try:
        if not is_plain_file(path) or path.stat().st_size > MAX_SOURCE:
            return None
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    found: list[ast.AST] = [tree]
    for part in name.split("."):
        if part == "<locals>":
            continue
        found = [node for parent in found for node in _inner(parent) if getattr(node, "name", None) == part]
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return None
    node = found[0]
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return "\n".join(text.split("\n")[first - 1 : node.end_lineno])


def _inner(parent: ast.AST) -> list[ast.AST]:
    """The functions and classes directly inside, also below `if` and `try`."""
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node)
        elif isinstance(node, ast.stmt | ast.ExceptHandler):
            found += _inner(node)
    return found
