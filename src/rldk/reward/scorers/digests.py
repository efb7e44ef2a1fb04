"""Names and texts of rows as digests: rows are joined and compared by these, so that their texts are not held."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Digests = NDArray[np.uint64]  # shape (rows, 2); zeros where there is nothing
Places = NDArray[np.int64]
SIZE = 16  # bytes
ABSENT = bytes(SIZE)
PIECE = 1 << 12  # rows
Value = TypeVar("Value")


def digest(text: str | None) -> bytes:
    """A digest of a name or a text; zeros for an empty one. Texts that differ have different digests."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest() if text else ABSENT


def text_digest(prompt: str, response: str) -> bytes:
    """A digest of prompt and answer. What is no Unicode in them counts as a question mark."""
    return hashlib.blake2b(f"{prompt}\0{response}".encode("utf-8", "replace"), digest_size=SIZE).digest()


def answer_digest(response: str | None) -> bytes:
    """A digest of an answer without its prompt; zeros for an empty one."""
    return text_digest("", response) if response else ABSENT


def digests(values: Iterable[Value], of: Callable[[Value], bytes]) -> Digests:
    """The digest of each value, shape (values, 2). The values are taken one by one."""
    rest = map(of, values)
    parts = iter(lambda: b"".join(islice(rest, PIECE)), b"")
    made = [np.frombuffer(part, dtype=np.uint64) for part in parts]
    return np.concatenate(made).reshape(-1, 2) if made else np.zeros((0, 2), dtype=np.uint64)


def missing(values: Digests) -> NDArray[np.bool_]:
    """Which digests stand for nothing, shape (rows,)."""
    return np.asarray(~values.any(axis=1))


def first_places(values: Digests) -> Places:
    """For each digest the first place that has the same, shape (rows,); -1 where there is nothing."""
    order = np.lexsort((values[:, 1], values[:, 0]))
    ordered = values[order]
    begins = np.concatenate((np.ones(min(1, len(order)), dtype=bool), (ordered[1:] != ordered[:-1]).any(axis=1)))
    made = np.empty(len(order), dtype=np.int64)
    made[order] = order[begins][np.cumsum(begins) - 1]
    made[missing(values)] = -1
    return made


def places(wanted: Digests, among: Digests) -> Places:
    """For each wanted digest the first place of it among others, shape (wanted,); -1 where there is none."""
    found = first_places(np.concatenate((among, wanted)))[len(among) :]
    found[found >= len(among)] = -1
    return found
