"""Fetches sources that are not files on this machine: it copies them to a file, or asks for them over an API."""

from __future__ import annotations

import os
import select
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from rldk.adapters.base import adapters
from rldk.adapters.source import HEAD_BYTES, File
from rldk.core.extras import need
from rldk.core.model import Run
from rldk.errors import NotALog, UnreadableSource, UsageError

if TYPE_CHECKING:
    from rldk.adapters.servers.poll import RemoteFollower, RemoteRun

PATIENCE_S = 0.2
MAX_SPOOL = 16 << 30  # bytes of standard input to keep while reading
# Stores whose runs may still grow: the module of each, and its classes for a whole run and for a growing one.
_STORES = {
    "wandb": ("rldk.adapters.servers.wandb", "WandBRun", "WandBFollower"),
    "mlflow": ("rldk.adapters.servers.mlflow", "MLflowRun", "MLflowFollower"),
}


def is_remote(source: str) -> bool:
    return source == "-" or "://" in source


def is_store(source: str) -> bool:
    """Whether `source` names a run on a tracking server, such as wandb://project/run or mlflow://run_id."""
    return source.partition("://")[0] in _STORES and "://" in source


def read_store(source: str, field_map: Mapping[str, str]) -> Run:
    """The run at `source` in its present state on the server. Raises `UsageError`, `MissingExtra`, `InputError`."""
    from rldk.adapters.naming.columns import to_run

    module, whole, _ = _store(source)
    adapter: RemoteRun = getattr(import_module(module), whole)(source)
    return to_run(adapter.read(), adapter.origin, field_map=field_map, propose=True)


def follow_store(source: str, *, cursor: dict[str, Any] | None = None) -> RemoteFollower:
    """A follower of the run at `source`, from its first row or from a `cursor`. It raises what `read_store` raises."""
    module, _, growing = _store(source)
    follower: RemoteFollower = getattr(import_module(module), growing)(source, cursor=cursor)
    return follower


def _store(source: str) -> tuple[str, str, str]:
    if not is_store(source):
        raise UsageError(
            f"{source} is not the address of a run on a tracking server",
            hint="write wandb://project/run or mlflow://run_id",
        )
    return _STORES[source.partition("://")[0]]


def fetch(source: str, folder: Path) -> Path:
    """A copy of `source` ("-" or an fsspec URL) in `folder`.

    Raises `MissingExtra` without fsspec, and `UnreadableSource` when the source cannot be fetched."""
    if source == "-":
        return _spool(folder)
    scheme, _, rest = source.partition("://")
    if scheme == "file":
        return Path(rest)
    with need("remote", "fsspec"):
        import fsspec
    target = folder / (rest.rstrip("/").rsplit("/", 1)[-1] or "source")
    try:
        system, path = fsspec.core.url_to_fs(source)
        system.get(path, str(target), recursive=bool(system.isdir(path)))
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"cannot read {source}: {error}", hint="check the address and your access") from None
    except ImportError as error:
        raise UnreadableSource(
            f"cannot read {source}: {error}", hint=f"install the fsspec driver for {scheme}://"
        ) from None
    if not target.exists():
        raise UnreadableSource(f"there is nothing at {source}", hint="check the address")
    return target


def _spool(folder: Path) -> Path:
    """Standard input as a file. Input that does not begin like a log is refused before it is written."""
    target, pieces = folder / "stdin", _pieces(sys.stdin.buffer)
    head = b""
    while len(head) < HEAD_BYTES and (piece := next(pieces, b"")):
        head += piece
    file = File.beginning(head)
    packed = head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))  # gzip, zstandard
    if head and not (packed or file.is_text or any(kind.sniff(file) for kind in adapters)):
        raise NotALog("standard input is in no log format that rldk knows", hint="rldk format-info lists the formats")
    size = 0
    try:
        with target.open("wb") as out:
            for piece in chain([head], pieces):
                size += len(piece)
                if size > MAX_SPOOL:
                    raise NotALog(
                        f"standard input is larger than {MAX_SPOOL >> 30} GiB", hint="write it to a file first"
                    )
                out.write(piece)
    except OSError as error:
        free = shutil.disk_usage(folder).free >> 20
        message = f"there is no room to keep standard input in {folder.parent} ({free} MB free): {error.strerror}"
        raise UnreadableSource(message, hint="set TMPDIR to a larger disk, or write a file and name it") from None
    return target


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The pieces of a stream until its end. A signal that comes just before a read takes effect within `PATIENCE_S`,
    not only when more data arrives."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # a stream in memory
        yield stream.read()
        return
    while True:
        while not select.select([number], [], [], PATIENCE_S)[0]:
            pass
        piece = os.read(number, 1 << 20)
        if not piece:
            return
        yield piece
