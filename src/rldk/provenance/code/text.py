"""Turns a Python file or a notebook into parsed code."""

from __future__ import annotations

import ast
import json
import os
import warnings
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.text import later, legible
from rldk.provenance.code.files import MAX_BYTES

_MAGIC = later(r"^(\s*)[%!?].*$")
_CELL_MAGIC = later(r"\s*%%(?!capture|time)")  # the cell is in another language, except for these


class ParsedSource(Struct, frozen=True, kw_only=True):
    """Parsed code with its lines. `starts`: for a notebook, the number of each code cell and its first line."""

    tree: ast.Module
    lines: tuple[str, ...]
    starts: tuple[tuple[int, int], ...] = ()

    def at(self, line: int) -> tuple[int | None, int]:
        """The cell (None in a plain file) and the line in it."""
        before = [(cell, start) for cell, start in self.starts if start <= line]
        return (before[-1][0], line - before[-1][1] + 1) if before else (None, line)

    def line(self, number: int) -> str:
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


def read_source(path: Path) -> ParsedSource | str:
    """The code of a file, or the reason why it cannot be read. Nothing is run."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as stream:  # noqa: PTH123 - a descriptor
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if len(data) > MAX_BYTES:
        return f"larger than {MAX_BYTES >> 20} MiB"
    return _notebook(data) if path.suffix == ".ipynb" else _python(data)


def _python(data: bytes) -> ParsedSource | str:
    tree = _parsed(data)
    if isinstance(tree, str):
        return tree
    return ParsedSource(tree=tree, lines=tuple(legible(data.decode("utf-8", "replace")).splitlines()))


def _notebook(data: bytes) -> ParsedSource | str:
    """The code cells, one after the other. A cell with a syntax error is left out; magic commands are no code."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        return f"no notebook: {error}"
    cells = told.get("cells") if isinstance(told, dict) else None
    if not isinstance(cells, list):
        return "no notebook: it has no cells"
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    for number, cell in enumerate(cells, 1):
        text = _code(cell)
        if text and not isinstance(_parsed(text.encode("utf-8", "replace")), str):
            starts.append((number, len(lines) + 1))
            lines += text.splitlines() or [""]
    tree = _parsed("\n".join(lines).encode("utf-8", "replace"))
    return tree if isinstance(tree, str) else ParsedSource(tree=tree, lines=tuple(lines), starts=tuple(starts))


def _code(cell: Any) -> str:
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return ""
    source = cell.get("source")
    text = "".join(map(str, source)) if isinstance(source, list) else source if isinstance(source, str) else ""
    if _CELL_MAGIC.match(text):
        return ""
    return legible("\n".join(_MAGIC.sub(r"\1pass", line) for line in text.splitlines()))


def _parsed(data: bytes) -> ast.Module | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except SyntaxError as error:
        return f"a syntax error{f' in line {error.lineno}' if error.lineno else ''}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"cannot be parsed: {type(error).__name__}"
