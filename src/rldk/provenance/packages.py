"""Which packages are installed, and in which versions."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rldk.core.configuration.versions import canonical
from rldk.core.text import later
from rldk.provenance.git import public_address

MAX_ORIGIN = 1 << 16
_FOLDER = later(r"(?P<name>[A-Za-z0-9][\w.]*)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


def installed() -> dict[str, str]:
    """Each installed distribution and its version, by name: lower case, words joined by "-".

    The names of the metadata folders say both, so that no file is read: a few ms, where reading costs one ms each."""
    found: dict[str, str] = {}
    for place in dict.fromkeys(sys.path):  # the first on the path is the one that is imported
        for name, version in sorted(_beside(place)):
            found.setdefault(name, version)
    return dict(sorted(found.items()))


def origins() -> dict[str, str]:
    """Where each distribution came from that was not installed from an index: `editable` and its folder, a repository
    with its commit, or a file. Credentials are left out."""
    found: dict[str, str] = {}
    for place in dict.fromkeys(sys.path):
        for folder in _names(place):
            name = _FOLDER.fullmatch(folder) if folder.endswith(".dist-info") else None
            origin = _origin(os.path.join(place or ".", folder, "direct_url.json")) if name else ""  # noqa: PTH118
            if name and origin:
                found.setdefault(canonical(name["name"]), origin)
    return dict(sorted(found.items()))


def conda_packages(prefix: Path | None = None) -> dict[str, str]:
    """The packages of the conda environment that Python runs in, each with version and build. The names of the files in
    `conda-meta` say both."""
    try:
        names = [path.stem for path in (Path(prefix or sys.prefix) / "conda-meta").glob("*.json")]
    except OSError:
        return {}
    parts = (name.rsplit("-", 2) for name in sorted(names))
    return {part[0]: f"{part[1]} {part[2]}" for part in parts if len(part) == 3}


def _origin(path: str) -> str:
    """What `direct_url.json` says in a word or two."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - one is tried for each package, and a `Path` takes longer
            told = json.loads(stream.read(MAX_ORIGIN))
    except (OSError, ValueError, RecursionError):
        return ""
    parts = [told.get(key) if isinstance(told, dict) else None for key in ("url", "vcs_info", "dir_info")]
    url, vcs, folder = parts[0], *(part if isinstance(part, dict) else {} for part in parts[1:])
    if not isinstance(url, str):
        return ""
    address = public_address(url)[:1000]
    if vcs.get("vcs"):
        return f"{vcs['vcs']}+{address}@{vcs.get('commit_id', '')}"[:1000]
    return f"editable {address}" if folder.get("editable") else address


def _names(place: str) -> list[str]:
    """The names in a place of the path. None in an archive, or where nothing is."""
    try:
        return os.listdir(place or ".")  # noqa: PTH208 - of a thousand names few are looked at
    except OSError:
        return []


def version_of(name: str) -> str | None:
    """The version of one distribution, None when it is not installed."""
    from importlib import metadata  # which loads the parser of e-mail

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _beside(place: str) -> Iterator[tuple[str, str]]:
    names = (name for name in _names(place) if name.endswith((".dist-info", ".egg-info")))
    for found in filter(None, map(_FOLDER.fullmatch, names)):
        yield canonical(found["name"]), found["version"]
