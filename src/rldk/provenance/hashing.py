"""Digests of what is on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits, in constant memory. Raises `OSError`."""
    return file_digest(path, "sha256")


def file_digest(path: Path, algorithm: str) -> str:
    """The digest of a file by one of the algorithms of `hashlib`, in constant memory. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
