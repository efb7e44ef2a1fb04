"""A tree of digests over the rows of a dataset, in leaves of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rldk.provenance.fingerprints.digest import ROW_BYTES, Hash, combined

LEAF_ROWS = 4096


class RowTree:
    """Takes the digests of rows, one after another, and keeps those of the leaves.

    `keep`: keeps those of the rows, too, 16 bytes each. Without them the unordered digest is not known."""

    def __init__(self, make: Callable[[], Hash], *, keep: bool = False) -> None:
        self._make = make
        self._open: list[bytes] = []
        self.leaves: list[bytes] = []
        self.rows: bytearray | None = bytearray() if keep else None
        self.count = 0

    def add(self, row: bytes) -> None:
        """Takes a row in its canonical form."""
        digest = row_digest(self._make, row)
        self._open.append(digest)
        self.count += 1
        if self.rows is not None:
            self.rows += digest
        if len(self._open) == LEAF_ROWS:
            self.close()

    def close(self) -> None:
        """Makes a leaf of the rows since the last one."""
        if self._open:
            made = self._make()
            made.update(b"".join(self._open))
            self.leaves.append(made.digest())
            self._open = []

    def root(self, header: Iterable[str]) -> str:
        self.close()
        return tree_root(self._make, header, self.count, self.leaves)


def row_digest(make: Callable[[], Hash], row: bytes) -> bytes:
    made = make()
    made.update(row)
    return made.digest()[:ROW_BYTES]


def split_rows(digests: bytes) -> list[bytes]:
    """The digests of rows, one by one."""
    return [digests[i : i + ROW_BYTES] for i in range(0, len(digests), ROW_BYTES)]


def unordered_root(make: Callable[[], Hash], digests: bytes) -> str:
    """A digest that is the same for every order of the rows."""
    return combined(make, sorted(split_rows(digests))).hex()


def tree_root(make: Callable[[], Hash], header: Iterable[str], rows: int, leaves: Iterable[bytes]) -> str:
    """The digest of a whole dataset from those of its leaves."""
    return combined(make, (*header, str(rows), *leaves)).hex()


def differing(first: Iterable[bytes], second: Iterable[bytes]) -> Iterator[int]:
    """The leaves that are not the same, by number."""
    left, right = list(first), list(second)
    for i in range(max(len(left), len(right))):
        if left[i : i + 1] != right[i : i + 1]:
            yield i
