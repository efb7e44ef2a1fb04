"""Why a source that is followed gives no rows: what it is instead of a log made of lines."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rldk.adapters.live.formats import followed, recognised
from rldk.adapters.source import File
from rldk.errors import RldkError

PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstandard
MAX_FILES = 200  # of a directory that are looked at


def why_unread(source: str) -> str:
    """One sentence; "" when the source is not there yet, is empty, or is a text that may still become a log."""
    path = Path(source)
    if path.is_dir():
        named = [str(found) for found in islice(_logs(path), 3)]
        hint = f"; name one of its logs: {', '.join(named)}" if named else ""
        return f"{source} has no *.jsonl, the newest of which is followed{hint}"
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
        kind = _kind(File(path)) if magic else ""
    except (OSError, EOFError, ValueError, zlib.error, RldkError):
        return ""
    if magic.startswith(PACKED):
        return f"{source} is compressed, which is not read while it grows; `rldk monitor --once` reads what is there"
    if not kind:
        return ""
    return (
        f"{source} ({kind}) is not made of lines and not read while it grows; `rldk monitor --once` reads what is there"
    )


def _kind(file: File) -> str:
    """What the file is, if its format is not one that can be followed."""
    from rldk.adapters.base import adapters
    from rldk.adapters.explore import claims

    claimed = claims(file, [adapters.get(name) for name in adapters.names() if name != "flexible"])
    kind = claimed[0][1] if claimed else None
    return kind.describes if kind is not None and kind.name not in followed() else ""


def _logs(folder: Path) -> Iterator[Path]:
    """Files below the directory that can be followed by name."""
    paths = (Path(base, name) for base, _, names in os.walk(folder) for name in sorted(names))
    for path in islice(paths, MAX_FILES):
        try:
            if path.is_file() and recognised(File(path).head) is not None:
                yield path
        except (OSError, EOFError, zlib.error, RldkError):
            continue
