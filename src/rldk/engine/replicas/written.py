"""Logs that a command writes into a folder of its own choice: found, and kept for its replica."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MAX_WALKED = 50_000  # entries of a folder that are looked at; a command may be started in a home directory
MAX_SEEN = 20_000  # files that may be logs
MAX_KEPT = 200
MAX_BYTES = 64 << 20
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", ".git", ".venv", "venv"})
_LINES = frozenset({".jsonl", ".ndjson"})  # a replica appends its lines to those of the one before
_LOGS = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".log", ".txt"})
Seen = dict[str, tuple[int, int, int]]


def files_of(folder: Path, left_out: Path) -> Seen:
    """The files that may be logs: relative path -> inode, size and time of the last change. Links are not followed."""
    found: Seen = {}
    for path in _walk(folder, left_out.resolve()):
        with suppress(OSError):
            stat = path.lstat()
            found[path.relative_to(folder).as_posix()] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if len(found) >= MAX_SEEN:
            break
    return found


def keep_written(folder: Path, before: Seen, left_out: Path, home: Path) -> int:
    """Copies what is new or changed since `before` to `home`, and returns how many files that are.

    Of a file of lines that only grew, the new lines are copied. Nothing of the user's is changed."""
    kept = 0
    for name, (inode, size, changed) in files_of(folder, left_out).items():
        old = before.get(name)
        if old == (inode, size, changed) or size == 0 or kept >= MAX_KEPT:
            continue
        grew = old is not None and old[0] == inode and size > old[1] and Path(name).suffix in _LINES
        with suppress(OSError):
            kept += _copy(folder / name, home / name, old[1] if old is not None and grew else 0)
    return kept


def _copy(source: Path, target: Path, start: int) -> bool:
    if source.stat().st_size - start > MAX_BYTES:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("wb") as write:
        read.seek(start)
        shutil.copyfileobj(read, write)
    return True


def _walk(folder: Path, left_out: Path) -> Iterator[Path]:
    walked = 0
    for root, folders, files in os.walk(folder):
        walked += len(folders) + len(files)
        if walked > MAX_WALKED:
            return
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED and not name.startswith(".") and (here / name).resolve() != left_out
        )
        for name in sorted(files):
            path = here / name
            if (path.suffix in _LOGS or "tfevents" in name) and not path.is_symlink():
                yield path
