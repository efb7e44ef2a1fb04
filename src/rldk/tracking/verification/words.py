"""How digests are spelled in a manifest."""

from __future__ import annotations

from rldk.errors import MalformedInput


def split_digest(text: str) -> tuple[str, str]:
    """The algorithm and the hexadecimal digits of `algorithm:hex`; digits alone are of SHA-256. Raises
    `MalformedInput`."""
    algorithm, colon, digits = text.rpartition(":")
    if not digits or not all(c in "0123456789abcdef" for c in digits.lower()):
        raise MalformedInput(f"{text[:80]!r} is no digest", hint="run.json is damaged, or not of rldk")
    return algorithm if colon else "sha256", digits.lower()
