"""A run as the exporters see it: its manifest and its files, with a digest of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from rldk.core.manifest import Manifest, recorded_manifest
from rldk.core.rundir import PRINTED
from rldk.core.secrets.redact import redact
from rldk.errors import UnreadableSource
from rldk.provenance.hashing import file_sha256

MAX_FILES = 100_000
MAX_FILE = 512 << 20  # a larger file, such as a checkpoint, is named with its digest and left where it is


class RunDirectoryFile(Struct, frozen=True, kw_only=True):
    """A file of a run directory. `name`: its path below it."""

    name: str
    path: Path
    bytes: int
    sha256: str


class LeftOut(Struct, frozen=True, kw_only=True):
    """Something that is not there, and why."""

    what: str
    why: str


class ExportSource(Struct, frozen=True, kw_only=True):
    """A run, read once. `left_out`: files of its directory that are not handed on."""

    folder: Path
    name: str
    manifest: Manifest
    files: tuple[RunDirectoryFile, ...]
    left_out: tuple[LeftOut, ...]


def export_source(folder: Path, *, begin: Callable[[str], None] | None = None) -> ExportSource:
    """The run in `folder`. Raises `UnreadableSource` where there is none."""
    manifest = recorded_manifest(folder)
    files, left = [], []
    for name, path in _listed(folder):
        try:
            size = path.stat().st_size
            why = _reason(name, path, size)
            if why:
                left.append(LeftOut(what=name, why=why))
                continue
            if begin is not None:
                begin(name)
            files.append(RunDirectoryFile(name=name, path=path, bytes=size, sha256=file_sha256(path)))
        except OSError as error:
            raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None
    name = manifest.run_id or folder.absolute().name
    return ExportSource(folder=folder, name=name, manifest=manifest, files=tuple(files), left_out=tuple(left))


def _listed(folder: Path) -> Iterator[tuple[str, Path]]:
    """The regular files below the folder by name. Links are not followed; hidden files are of a writer at work."""
    found: list[tuple[str, Path]] = []
    for root, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in names:
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and not (name.startswith(".") and Path(root) == folder):
                found.append((relative, path))
        if len(found) > MAX_FILES:
            raise UnreadableSource(f"{folder} has more than {MAX_FILES:,} files", hint="is it a run directory?")
    yield from sorted(found)


def _reason(name: str, path: Path, size: int) -> str:
    if name == PRINTED:
        return "what a command printed may hold secrets, which nobody has taken out"
    if size > MAX_FILE:
        return f"it has more than {MAX_FILE >> 20} MiB; its SHA-256 is {file_sha256(path)}"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is no text"
    return ""


def shown_command(manifest: Manifest) -> str:
    """The command of the run as one line, without secrets."""
    import shlex

    words = redact({"argv": list(manifest.command)})["argv"]
    return shlex.join(map(str, words))
