"""The package's own source, parsed once for all laws that look at it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", bound=ast.AST)


@cache
def nodes_of(path: Path) -> Mapping[type[ast.AST], list[ast.AST]]:
    """All nodes of a file by their type, in the order of `ast.walk`."""
    found: defaultdict[type[ast.AST], list[ast.AST]] = defaultdict(list)
    for node in ast.walk(ast.parse(path.read_text())):
        found[type(node)].append(node)
    return found


def nodes(path: Path, *kinds: type[N]) -> list[N]:
    """The nodes of these types."""
    found = nodes_of(path)
    return [node for kind in kinds for node in found.get(kind, ())]  # type: ignore[misc]
