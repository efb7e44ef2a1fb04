"""The files in which a project pins its packages."""

from __future__ import annotations

from pathlib import Path

from rldk.core.text import legible
from rldk.provenance.git import work_tree
from rldk.provenance.hashing import file_sha256

MAX_LEVELS = 5
MAX_BYTES = 64 << 20
MAX_FILES = 50
_NAMES = frozenset(
    "uv.lock poetry.lock pdm.lock pixi.lock Pipfile.lock conda-lock.yml conda-lock.yaml environment.yml "
    "environment.yaml pylock.toml".split()
)


def lock_files(folder: Path) -> dict[str, str]:
    """The lock and requirements files in `folder` and above it, up to the root of its repository: path -> digest.

    Paths are relative to the highest of these folders. A link and a file above 64 MiB are left out."""
    top = work_tree(folder)
    try:
        start = folder.resolve()
        chain = [start, *start.parents][: MAX_LEVELS + 1]
    except OSError:
        return {}
    chain = chain[: chain.index(top) + 1] if top in chain else chain[:1]
    found: dict[str, str] = {}
    for place in reversed(chain):
        for path in _pins(place):
            if len(found) < MAX_FILES:
                try:
                    found[legible(path.relative_to(chain[-1]).as_posix())] = f"sha256:{file_sha256(path)}"
                except OSError:
                    continue
    return found


def _pins(folder: Path) -> list[Path]:
    """The files in one folder, by name."""
    try:
        return sorted(path for path in folder.iterdir() if _is_pin(path.name) and _is_small(path))
    except OSError:
        return []


def _is_pin(name: str) -> bool:
    plain = name.startswith("requirements") and name.endswith((".txt", ".lock"))
    return name in _NAMES or plain or (name.startswith("pylock.") and name.endswith(".toml"))


def _is_small(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES
