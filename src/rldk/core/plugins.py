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
    if not any(os.path.isfile(place) or _declares(place, header) for place in sys.path):  # noqa: PTH113 - of a zip
        return ()
    from importlib.metadata import entry_points as declared

    return declared(group=group)


@cache
def _declares(place: str, header: bytes) -> bool:
    return any(header in text for text in _declared(place))


@cache
def _declared(place: str) -> tuple[bytes, ...]:
    """What each distribution in a directory of the path declares."""
    texts = []
    with suppress(OSError), os.scandir(place or ".") as entries:
        for entry in entries:
            if entry.name.lower().endswith(_INFO):
                with suppress(OSError):
                    texts.append(Path(entry, "entry_points.txt").read_bytes())
    return tuple(texts)
