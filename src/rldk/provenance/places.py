"""Where the files are that a record names."""

from __future__ import annotations

import stat
from pathlib import Path

from rldk.core.manifest import Manifest


def recorded_place(path: str, root: Path) -> Path | None:
    """The file or folder that a record calls `path`, relative to `root`; None when there is none, or something that
    would be waited for, such as a pipe."""
    try:
        place = root / path
        mode = place.stat().st_mode
    except (OSError, ValueError):
        return None
    return place if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None


def recorded_root(manifest: Manifest) -> Path:
    """The folder that relative paths of the record are relative to: the one that the run was started in, where the
    record says it and it is there, else the current one."""
    said = manifest.cwd or ""
    place = recorded_place(said, Path()) if said.startswith("/") else None
    return place if place is not None and place.is_dir() else Path()
