"""Sources that are not files on this machine, copied to where they can be read as files."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rldk.errors import MissingExtra, UnreadableSource, UsageError

_LIVE = {"wandb": "wandb sync --sync-all or the offline .wandb file", "mlflow": "the mlruns directory or the database"}


def is_remote(source: str) -> bool:
    return source == "-" or "://" in source


def fetch(source: str, folder: Path) -> Path:
    """What `source` names ("-" or an fsspec URL), copied into `folder`.

    Raises `UsageError` for live stores, `MissingExtra` without fsspec, `UnreadableSource` when it cannot be had."""
    if source == "-":
        return _spool(folder)
    scheme, _, rest = source.partition("://")
    if scheme in _LIVE:
        raise UsageError(
            f"{scheme}:// is a live store, which `rldk monitor` follows; it cannot be opened as a log here",
            hint=f"give what it keeps on disk instead: {_LIVE[scheme]}",
        )
    if scheme == "file":
        return Path(rest)
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("remote", "fsspec") from None
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
        raise UnreadableSource(f"nothing at {source}", hint="check the address")
    return target


def _spool(folder: Path) -> Path:
    target = folder / "stdin"
    with target.open("wb") as out:
        shutil.copyfileobj(sys.stdin.buffer, out)
    return target
