"""Zip archives: the same content gives the same bytes, and one that somebody else wrote is opened with mistrust."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from rldk.core.files import whole
from rldk.errors import MalformedInput, OutputError, UnreadableSource
from rldk.provenance.inside import place_inside

MAX_ENTRIES = 1_000_000
MAX_BYTES = 64 << 30  # of everything unpacked
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format has; the time of packing would make two archives differ


class ArchiveEntry(Struct, frozen=True, kw_only=True):
    """A file of an archive: its name and its content, as bytes or in a file."""

    name: str
    content: bytes | Path
    is_program: bool = False


def write_zip(path: Path, entries: Iterable[ArchiveEntry]) -> None:
    """Writes the archive whole or not at all, its files in the order of their names. Raises `OutputError`."""
    try:
        with (
            whole(path, parents=True) as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made,
        ):
            for entry in sorted(entries, key=lambda one: one.name):
                info = zipfile.ZipInfo(entry.name, _EPOCH)
                info.create_system = 3  # Unix, on every system
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (stat.S_IFREG | (0o755 if entry.is_program else 0o644)) << 16
                if isinstance(entry.content, bytes):
                    made.writestr(info, entry.content, compresslevel=6)
                else:
                    with entry.content.open("rb") as source, made.open(info, "w", force_zip64=True) as target:
                        shutil.copyfileobj(source, target, _CHUNK)
    except OSError as error:
        raise OutputError.of(path, error) from None


def unpack_zip(path: Path, into: Path) -> None:
    """Unpacks an archive of rldk into an empty folder. Raises `MalformedInput` for names that lead outside, links,
    more than `MAX_BYTES`, and a damaged archive; `UnreadableSource` when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_ENTRIES or sum(one.file_size for one in members) > MAX_BYTES:
                raise MalformedInput(f"{path} unpacks to more than {MAX_BYTES >> 30} GiB or {MAX_ENTRIES:,} files")
            for member in members:
                _unpack(archive, member, into)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise MalformedInput(f"{path} is no archive that can be read: {error}", hint="was it copied whole?") from None
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path) -> None:
    mode = member.external_attr >> 16
    if member.is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise MalformedInput(f"{member.filename[:200]!r} in {archive.filename} is no plain file")
    place = place_inside(into, member.filename)
    place.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, place.open("xb") as target:
        while data := source.read(_CHUNK):
            left -= len(data)
            if left < 0:
                raise MalformedInput(f"{member.filename[:200]!r} is larger than the archive says")
            target.write(data)
    place.chmod(0o755 if mode & 0o100 else 0o644)
