"""Explains why a followed source gives no rows."""

from __future__ import annotations

import os
import zlib
from itertools import islice
from pathlib import Path

from rldk.adapters.base import BaseAdapter
from rldk.adapters.live.choice import is_compressed
from rldk.adapters.source import File
from rldk.adapters.wire.pairs import refusal_of_width
from rldk.errors import RldkError

MAX_NAMES = 1000  # of a directory, among which similar names are looked for


def waiting(path: Path) -> str:
    """A note that there is nothing at the path yet, and what is there under a similar name."""
    from difflib import get_close_matches

    if path.is_dir():
        empty = next(path.iterdir(), None) is None
        why = "it is empty" if empty else "no file in it is a log yet; `rldk format-info` lists the formats"
        return f"waiting for a log in {path}: {why}"
    folder = path.parent
    if not folder.is_dir():
        return f"waiting for {path}: no such file yet, and no directory {folder}"
    try:
        names = [entry.name for entry in islice(os.scandir(folder), MAX_NAMES)]
    except OSError:
        names = []
    near = [str(folder / name) for name in get_close_matches(path.name, names, n=3)]
    return f"waiting for {path}: no such file yet" + (f"; there is {', '.join(near)}" if near else "")


def why_unread(source: str) -> str:
    """One sentence that explains why nothing is read.

    It is "" when the source is not there yet, is empty, is a log whose metrics may still come, or is a text that may
    become one."""
    path = Path(source)
    try:
        file = File(path)
        if not path.stat().st_size:
            return ""
        kind = _kind(file)
        pressed = is_compressed(path)
    except (OSError, EOFError, ValueError, zlib.error, RldkError):
        return ""
    if kind is not None:
        missing = f"{source} ({kind.describes}) has no metrics: name the log that lies beside it, or its directory"
        return missing if kind.samples_only else ""
    if pressed:
        return f"{source} is compressed, and no log that rldk knows; unpack it and see `rldk format-info FILE`"
    if not file.is_text:
        return f"{source} is neither text nor in a format that rldk knows; `rldk format-info` lists those that are read"
    wide = refusal_of_width(file.head)
    return f"{source} is not read: {wide}; write such rows as JSON lines" if wide else ""


def _kind(file: File) -> type[BaseAdapter] | None:
    """The format of the file, if a format claims it."""
    from rldk.adapters.base import adapters
    from rldk.adapters.explore import claims

    claimed = claims(file, [adapters.get(name) for name in adapters.names() if name != "flexible"])
    return claimed[0][1] if claimed else None
