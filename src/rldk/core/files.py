"""Writes files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rldk.errors import OutputError


@contextmanager
def whole(path: Path, *, durable: bool = False, parents: bool = False) -> Iterator[Path]:
    """Opens a new file beside `path`. It replaces `path` when the block ends, and is removed when the block fails.

    The umask decides who may read it. A link is followed. If the path is no regular file (a device, a pipe), it is
    written to directly. `durable`: the data is on the disk before the name is. `parents`: missing folders are created.
    Raises `OSError`."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        yield path
        return
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:200]}.{os.urandom(4).hex()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield part
        if durable:
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def append_whole(descriptor: int, data: bytes) -> None:
    """Appends all of the data or nothing: what a full disk took of it is removed again. For a file with one writer.
    Raises `OSError`."""
    start = os.fstat(descriptor).st_size
    try:
        sent = os.write(descriptor, data)
        while sent < len(data):
            sent += os.write(descriptor, data[sent:])
    except OSError:
        with suppress(OSError):  # a pipe cannot be cut
            os.ftruncate(descriptor, start)
        raise


def write_whole(path: Path, content: str | bytes, *, durable: bool = False, parents: bool = False) -> None:
    """Writes the file whole or not at all: after a crash or on a full disk the old file remains. See `whole`. Raises
    `OSError`."""
    with whole(path, durable=durable, parents=parents) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def save(path: Path, content: str | bytes, *, parents: bool = False) -> Path:
    """Does `write_whole` for a file that the user asked for, and returns its path. Raises `OutputError`."""
    try:
        write_whole(path, content, parents=parents)
    except OSError as error:
        raise OutputError.of(path, error) from None
    return path
