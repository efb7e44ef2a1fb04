"""Hash functions by name, and trees of digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from rldk.core.extras import need
from rldk.errors import UnknownName

ENCODING = "rldk-1"  # changes whenever the same content would get another digest
ROW_BYTES = 16  # of a row's digest: a collision among 2**40 rows has a chance of 1e-15
_STANDARD = ("sha256", "sha512", "sha1", "md5", "blake2b")
ALGORITHMS = (*_STANDARD, "blake3")


class Hash(Protocol):
    def update(self, data: Any, /) -> Any: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


def hash_maker(algorithm: str) -> Callable[[], Hash]:
    """Makes new hashes of the algorithm. Raises `UnknownName`, and `MissingExtra` for blake3 where it is absent."""
    if algorithm == "blake3":
        with need("hash", "blake3"):
            from blake3 import blake3
        return cast("Callable[[], Hash]", blake3)
    if algorithm not in _STANDARD:
        raise UnknownName("hash algorithm", algorithm, ALGORITHMS)
    return lambda: hashlib.new(algorithm, usedforsecurity=False)


def combined(make: Callable[[], Hash], parts: Iterable[bytes | str]) -> bytes:
    """The digest of a sequence of texts and bytes, each with its length, so that no two sequences look alike."""
    made = make()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "little"))
        made.update(data)
    return made.digest()
