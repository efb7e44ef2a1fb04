"""The layers of the architecture, checked on the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

from sources import nodes

SRC = Path(__file__).parents[2] / "src" / "rldk"
# lowest first; a module may import its own package and anything in a lower line; siblings never import each other
LAYERS = (
    ("errors",),
    ("outage",),
    ("config", "emit", "utils"),
    ("core",),
    ("rules", "adapters", "io", "provenance"),
    ("engine",),
    ("cards", "testing"),
    (
        "bench",
        "bisect",
        "comparison",
        "determinism",
        "diagnosis",
        "diff",
        "evals",
        "forensics",
        "ingest",
        "logprobs",
        "monitor",
        "preflight",
        "profiling",
        "replay",
        "resume",
        "reward",
        "tracking",
    ),
    ("cli", "integrations"),
    ("docs",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def _package(path: Path) -> str:
    relative = path.relative_to(SRC)
    return relative.parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes(path, ast.ImportFrom):
        if node.module and node.module.startswith("rldk."):
            found.add(node.module.split(".")[1])
        elif node.module == "rldk":
            found.update(alias.name for alias in node.names if alias.name in RANK)
    for plain in nodes(path, ast.Import):
        found.update(a.name.split(".")[1] for a in plain.names if a.name.startswith("rldk."))
    return found


FILES = [p for p in sorted(SRC.rglob("*.py")) if p.name not in {"__init__.py", "__main__.py"} or p.parent != SRC]


def test_every_package_has_a_layer() -> None:
    assert {_package(p) for p in FILES} <= RANK.keys()


def test_imports_point_downwards() -> None:
    found = [(p, own, i) for p in FILES for own in [_package(p)] for i in sorted(_imports(p) - {own})]
    assert not [f"{p.relative_to(SRC)} may not import {i}" for p, own, i in found if RANK[i] >= RANK[own]]
