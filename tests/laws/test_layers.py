"""The layers of the architecture, checked on the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "rldk"
# lowest first; a module may import its own package and anything in a lower line; siblings never import each other
LAYERS = (
    ("errors",),
    ("config", "emit"),
    ("core",),
    ("rules", "adapters", "io"),
    ("engine",),
    ("cards", "testing"),
    ("bench", "diagnosis", "forensics", "ingest", "monitor", "tracking"),
    ("cli",),
    ("docs",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def _package(path: Path) -> str:
    relative = path.relative_to(SRC)
    return relative.parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rldk."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "rldk":
            found.update(alias.name for alias in node.names if alias.name in RANK)
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("rldk."))
    return found


FILES = [p for p in sorted(SRC.rglob("*.py")) if p.name not in {"__init__.py", "__main__.py"} or p.parent != SRC]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_downwards(path: Path) -> None:
    own = _package(path)
    assert own in RANK, f"{own} has no layer: give it one"
    wrong = {i for i in _imports(path) if i != own and RANK[i] >= RANK[own]}
    assert not wrong, f"{own} may not import {', '.join(sorted(wrong))}"
