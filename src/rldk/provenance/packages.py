"""Which packages are installed, and in which versions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rldk.core.configuration.versions import canonical
from rldk.core.text import later

_FOLDER = later(r"(?P<name>[A-Za-z0-9][\w.]*)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


def installed() -> dict[str, str]:
    """Each installed distribution and its version, by name: lower case, words joined by "-".

    The names of the metadata folders say both, so that no file is read: a few ms, where reading costs one ms each."""
    found: dict[str, str] = {}
    for place in dict.fromkeys(sys.path):  # the first on the path is the one that is imported
        for name, version in sorted(_beside(Path(place or "."))):
            found.setdefault(name, version)
    return dict(sorted(found.items()))


def version_of(name: str) -> str | None:
    """The version of one distribution, None when it is not installed."""
    from importlib import metadata  # which loads the parser of e-mail

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _beside(place: Path) -> Iterator[tuple[str, str]]:
    try:
        names = [entry.name for entry in place.iterdir() if entry.suffix in (".dist-info", ".egg-info")]
    except OSError:  # an archive, or a place on the path that does not exist
        return
    for found in filter(None, map(_FOLDER.fullmatch, names)):
        yield canonical(found["name"]), found["version"]
