"""Finds the entry points of installed plugins, without the cost of importlib.metadata where there are none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_INFO = (".dist-info", ".egg-info", "egg-info")


def entry_points(group: str) -> Iterable[EntryPoint]:
    """The entry points of the group.

    Importing `importlib.metadata` and asking it takes a tenth of the start of a command, and most installations have no
    plugin. So the files that could name one are searched first."""
    header = f"[{group}]".encode()
    if not any(_may_declare(Path(place), header) for place in sys.path):
        return ()
    from importlib.metadata import entry_points as declared

    return declared(group=group)


def _may_declare(place: Path, header: bytes) -> bool:
    return place.is_file() or any(header in text for text in _declared(place))  # a zip is not searched


@cache
def _declared(place: Path) -> tuple[bytes, ...]:
    """Yields what each distribution in a directory of the path declares."""
    texts = []
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.lower().endswith(_INFO):
                with suppress(OSError):
                    texts.append(Path(entry, "entry_points.txt").read_bytes())
    return tuple(texts)
