"""Which tensors have a digest that need not be computed again."""

from __future__ import annotations

import weakref
from typing import Any


class KnownDigest:
    """The digest of a tensor. `memory`: that of its memory alone, which a view of all of it shares. None of either:
    not computed yet. `version`: None as long as it is due."""

    __slots__ = ("address", "digest", "memory", "ref", "version")

    def __init__(self, tensor: Any, digest: Any, memory: int | None) -> None:
        self.ref: Any = weakref.ref(tensor)
        self.address, self.version = tensor.data_ptr(), tensor._version
        self.digest, self.memory = digest, memory


class KnownDigests:
    """The digests of tensors that operations have made, as long as the tensors live and nobody writes to them.

    What NumPy or C writes into the memory of a tensor is not seen; so tensors given to NumPy are left out."""

    MOST = 200_000

    def __init__(self) -> None:
        self.known: dict[int, KnownDigest] = {}
        self._shared: dict[int, Any] = {}  # memory that NumPy sees, too, by its address, as long as it is in use
        self.due: list[KnownDigest] = []  # whose version is not known yet; then `settle` is to be called

    def get(self, tensor: Any) -> KnownDigest | None:
        """What is known of a tensor; None where nothing is, or where it was written to since."""
        found = self.known.get(id(tensor))
        if (
            found is None
            or found.ref() is not tensor
            or found.version != tensor._version
            or found.address != tensor.data_ptr()
        ):
            return None
        return None if self._shared and tensor.untyped_storage().data_ptr() in self._shared else found

    def share(self, storage: Any) -> None:
        """From now on nothing about this memory is remembered."""
        address, shared = storage.data_ptr(), self._shared
        shared[address] = weakref.ref(storage, lambda ended: shared.get(address) is ended and shared.pop(address))

    def put(self, tensor: Any, digest: Any, memory: int | None = None, *, due: bool = False) -> None:
        """Remembers a digest. `due`: of what the running operation writes to, or of a view that it makes. Torch counts
        the one as a new version, and gives the other the version of what it shows, only after the operation has ended,
        so the version is read by `settle`."""
        made = self.known[id(tensor)] = KnownDigest(tensor, digest, memory)
        if due:
            made.version = None
            self.due.append(made)
        if len(self.known) > self.MOST:
            self.drop_dead()
            if len(self.known) > self.MOST:
                self.known.clear()

    def settle(self) -> None:
        """Reads the versions that are due; to be called before the next operation."""
        for one in self.due:
            tensor = one.ref()
            one.version = None if tensor is None else tensor._version
        self.due.clear()

    def drop_dead(self) -> None:
        """Forgets tensors that are gone."""
        self.known = {key: one for key, one in self.known.items() if one.ref() is not None}
