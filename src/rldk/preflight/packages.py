"""The versions of packages: of this environment, of a requirements or lock file, or as a run has recorded them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rldk.core.configuration.versions import canonical
from rldk.core.manifest import read_manifest
from rldk.errors import MalformedInput, UnreadableSource
from rldk.provenance.packages import installed

MAX_BYTES = 8 << 20
_PINNED = re.compile(r"\s*([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*={2,3}\s*([\w.!+-]+)")
_CONDA = re.compile(r"\s*-\s+([A-Za-z0-9][\w.-]*)={1,2}([\w.!+-]+)")


def packages_of(source: Path | None) -> dict[str, str]:
    """Distribution -> version. Without a source, those of the environment that rldk runs in.

    `source`: a requirements file (`name==version`, as `pip freeze` prints), uv.lock or poetry.lock, Pipfile.lock, an
    environment.yml, or the directory of a run. Entries without an exact version are left out. Raises
    `UnreadableSource` and `MalformedInput`."""
    if source is None:
        return installed()
    if source.is_dir():
        found = read_manifest(source)
        if found is None or not found.packages:
            hint = "give a requirements or lock file, or a run that `rldk.init` has written"
            raise MalformedInput(f"{source} records no packages", hint=hint)
        return {canonical(name): version for name, version in found.packages.items()}
    text = _text(source)
    made = _locked(text, source) if source.suffix in (".lock", ".toml") else _pinned(text)
    if not made:
        hint = "write name==version, as `pip freeze` does, or give a lock file"
        raise MalformedInput(f"{source} names no exact version of a package", hint=hint)
    return made


def _text(source: Path) -> str:
    try:
        if source.stat().st_size > MAX_BYTES:
            raise MalformedInput(f"{source} is larger than 8 MiB", hint="no list of packages is that long")
        return source.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        hint = "give a requirements file, a lock file or the directory of a run"
        raise UnreadableSource(f"cannot read {source}: {error.strerror or error}", hint=hint) from None


def _pinned(text: str) -> dict[str, str]:
    found = (_PINNED.match(line) or _CONDA.match(line) for line in text.splitlines())
    return {canonical(match[1]): match[2] for match in found if match is not None}


def _locked(text: str, source: Path) -> dict[str, str]:
    import tomllib

    try:
        data: Any = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"{source} cannot be read: {error}", hint="was it copied whole?") from None
    if not isinstance(data, dict):
        return {}
    made: dict[str, str] = {}
    for entry in data.get("package") or ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("version"), str):
            made[canonical(entry["name"])] = entry["version"]
    for part in ("default", "develop"):
        for name, entry in (data.get(part) or {}).items() if isinstance(data.get(part), dict) else ():
            if isinstance(entry, dict) and isinstance(entry.get("version"), str):
                made[canonical(name)] = entry["version"].lstrip("=")
    return made
