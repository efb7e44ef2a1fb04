"""Where the files are that a record names."""

from __future__ import annotations

import stat
from pathlib import Path


def recorded_place(path: str, root: Path) -> Path | None:
    """The file or folder that a record calls `path`, relative to `root`; None when there is none, or something that
    would be waited for, such as a pipe."""
    try:
        place = root / path
        mode = place.stat().st_mode
    except (OSError, ValueError):
        return None
    return place if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None
