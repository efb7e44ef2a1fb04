"""No module imports, however late, a module that imports it."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from sources import nodes

SRC = Path(__file__).parents[2] / "src"
MODULES = {".".join(p.relative_to(SRC).with_suffix("").parts): p for p in sorted((SRC / "rldk").rglob("*.py"))}


def _typing_only(path: Path) -> set[ast.AST]:
    """Everything below `if TYPE_CHECKING:`."""
    guards = [n for n in nodes(path, ast.If) if isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"]
    return {inner for guard in guards for statement in guard.body for inner in ast.walk(statement)}


def _imports(path: Path) -> set[str]:
    skipped = _typing_only(path)
    found: set[str] = set()
    for node in nodes(path, ast.ImportFrom):
        if node.module and node not in skipped:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inner or {node.module}
    for plain in nodes(path, ast.Import):
        found |= {alias.name for alias in plain.names}
    return found & MODULES.keys()


def test_no_import_circle() -> None:
    graph = {name: _imports(path) for name, path in MODULES.items() if path.name != "__init__.py"}
    circle: list[str] = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " -> ".join(circle)
