"""Arrays that are put aside: in memory while they are small, then in temporary files that have no name."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.errors import OutputError

Kind = TypeVar("Kind", bound=np.generic)


class Held(Struct, frozen=True, kw_only=True):
    """How much stays in memory. `entries`: keys that are sorted or joined at a time. `spool`: bytes of each array that
    is put aside, before it goes to disk. Results do not depend on either."""

    entries: int = 1 << 21  # 24 MB of keys and rows, and about 100 MB while they are sorted
    spool: int = 1 << 24


class Scratch:
    """Makes spools and closes all of them at the end. `most`: bytes on disk at the fullest moment."""

    def __init__(self, held: Held | None = None) -> None:
        self.held = held or Held()
        self.most = 0
        self._spools: list[Spool] = []

    def spool(self) -> Spool:
        """A new empty spool, which this object closes."""
        made = Spool(self)
        self._spools.append(made)
        return made

    def count(self) -> None:
        """Notes how much is on disk now."""
        self.most = max(self.most, self.on_disk())

    def on_disk(self) -> int:
        """The bytes that are on disk now."""
        return sum(spool.size for spool in self._spools if spool.size > self.held.spool)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for spool in self._spools:
            spool.close()


class Spool:
    """Arrays one after the other. On disk they stand in a file without a name in the folder for temporary files
    (TMPDIR), so that nothing remains of it, however the process ends."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._file: IO[bytes] | None = None
        self.size = 0  # bytes

    def write(self, array: NDArray[Any]) -> int:
        """Appends the array and returns the place of its first byte. Raises `OutputError` where the disk is full."""
        place = self.size
        try:
            if self._file is None:
                self._file = tempfile.SpooledTemporaryFile(max_size=max(1, self._scratch.held.spool), prefix="rldk-")  # noqa: SIM115
            self._file.seek(place)
            if array.nbytes:  # Python casts no empty view
                self._file.write(np.ascontiguousarray(array).data.cast("B"))
            self._file.flush()
        except OSError as error:
            raise _no_room(error, self._scratch.on_disk()) from None
        self.size += array.nbytes
        self._scratch.count()
        return place

    def read(self, place: int, count: int, kind: type[Kind]) -> NDArray[Kind]:
        """Returns `count` values from a place, shape (count,)."""
        made = np.empty(count, dtype=kind)
        if count and self._file is not None:
            self._file.seek(place)
            view = made.data.cast("B")
            while len(view):
                view = view[self._file.readinto(view) :]  # type: ignore[attr-defined]  # typeshed: IO has no readinto
        return made

    def clear(self) -> None:
        """Forgets what was written and gives its space back."""
        self.close()
        self.size = 0

    def close(self) -> None:
        """Closes the file, which removes it."""
        if self._file is not None:
            with suppress(OSError):  # on a full disk, what was not written is tried once more
                self._file.close()
            self._file = None


def _no_room(error: OSError, written: int) -> OutputError:
    try:
        place = tempfile.gettempdir()
    except OSError:
        return OutputError(
            f"there is no folder for temporary files: {error.strerror or error}",
            hint="set TMPDIR to a folder that can be written",
        )
    return OutputError(
        f"cannot put temporary data aside in {place} after {written / 1e6:,.0f} MB: {error.strerror or error}",
        hint="free space there, or set TMPDIR to a folder that has more",
    )
