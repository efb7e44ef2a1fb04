"""Finds the Python files and notebooks below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rldk.errors import NoData, UnreadableSource

MAX_FILES = 20_000
MAX_BYTES = 2 << 20  # of one file; generated tables are larger
SUFFIXES = (".py", ".ipynb")
# folders of other people's code, and of what tools leave behind
_SKIPPED = frozenset(
    "__pycache__ node_modules site-packages dist-packages build dist .git .hg .svn .tox .nox .venv venv env "
    "wandb mlruns .ipynb_checkpoints .mypy_cache .pytest_cache .ruff_cache .eggs".split()
)


def source_files(root: Path) -> tuple[list[Path], dict[Path, str]]:
    """The files to read, by name, and others with the reason why they are not read.

    A link is followed only where it leads to a place below `root`. Environments and caches below `root` are skipped.
    Raises `UnreadableSource` and `NoData`."""
    if not root.exists():
        raise UnreadableSource(f"{root} does not exist", hint="name a Python file, a notebook or a folder of them")
    if root.is_file():
        return [root], {}
    found: list[Path] = []
    left: dict[Path, str] = {}
    home = os.path.realpath(root)
    for path in _below(root):
        if len(found) >= MAX_FILES:
            left[path] = f"only the first {MAX_FILES} files are read"
            break
        if path.is_symlink() and not _is_inside(os.path.realpath(path), home):
            left[path] = "a link that leads outside"
        elif path.is_file():
            found.append(path)
    if not found:
        raise NoData(f"there is no Python file below {root}", hint="name a Python file, a notebook or a folder of them")
    return found, left


def _below(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):  # links to folders are not entered
        inner[:] = sorted(name for name in inner if not _is_skipped(Path(folder), name))
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder) / name


def _is_skipped(folder: Path, name: str) -> bool:
    return name in _SKIPPED or name.startswith(".") or (folder / name / "pyvenv.cfg").exists()


def _is_inside(path: str, home: str) -> bool:
    return path == home or path.startswith(home.rstrip(os.sep) + os.sep)
