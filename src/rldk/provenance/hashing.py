"""Digests of what is on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rldk.errors import MalformedInput


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits, in constant memory. Raises `OSError`."""
    return file_digest(path, "sha256")


def file_digest(path: Path, algorithm: str) -> str:
    """The digest of a file by one of the algorithms of `hashlib`, in constant memory. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def split_digest(text: str) -> tuple[str, str]:
    """The algorithm and the hexadecimal digits of `algorithm:hex`; digits alone are of SHA-256. Raises
    `MalformedInput`."""
    algorithm, colon, digits = text.rpartition(":")
    if not digits or not all(c in "0123456789abcdef" for c in digits.lower()):
        raise MalformedInput(f"{text[:80]!r} is no digest", hint="run.json is damaged, or not of rldk")
    return algorithm if colon else "sha256", digits.lower()
