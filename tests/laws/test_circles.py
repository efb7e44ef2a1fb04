"""No module imports, however late, a module that imports it; nor does it name one as a type or in a text."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from sources import nodes

SRC = Path(__file__).parents[2] / "src"
MODULES = {".".join(p.relative_to(SRC).with_suffix("").parts): p for p in sorted((SRC / "rldk").rglob("*.py"))}


def _imports(path: Path) -> set[str]:
    """What the module imports: at its top, in a function, for types only, or by a name that stands there as a text."""
    found: set[str] = set()
    for node in nodes(path, ast.ImportFrom):
        if node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inner or {node.module}
    for plain in nodes(path, ast.Import):
        found |= {alias.name for alias in plain.names}
    found |= set(re.findall(r'"(rldk\.[\w.]+)"', path.read_text()))
    return found & MODULES.keys()


def test_no_import_circle() -> None:
    graph = {name: _imports(path) for name, path in MODULES.items() if path.name != "__init__.py"}
    circle: list[str] = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " -> ".join(circle)
