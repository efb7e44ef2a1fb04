"""Follows the bytes of a log as they are written: in a file, in several files in turn, or in a pipe."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from rldk.adapters.live.tail import READ, Cursor, FileFollower
from rldk.errors import UnreadableSource


class Follower(Protocol):
    """A source of new bytes. `source`: the current file. `ended`: nothing more can come. `begins`: the last poll gave
    the beginning of a file. `changes`: counts of what happened to the files."""

    ended: bool
    begins: bool
    changes: Counter[str]

    @property
    def source(self) -> str: ...

    @property
    def busy(self) -> bool:
        """Whether the next poll finds more at once."""

    @property
    def cursor(self) -> Cursor | None:
        """The place after the data given so far; None when nobody can return to it."""

    def poll(self) -> bytes:
        """The data since the last call. The method never waits."""

    def finish(self) -> bytes:
        """The rest of the data, including an unfinished line."""

    def close(self) -> None: ...


def follow(
    target: str | os.PathLike[str],
    *,
    cursor: Cursor | None = None,
    tee: Sequence[int] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Follower:
    """A follower of a file (which need not exist yet), of a named pipe, or of standard input ("-").

    `cursor`: where to continue in a file. `tee`: file descriptors that get a copy of piped data."""
    if target == "-":
        return PipeFollower(sys.stdin.fileno(), tee=tee)
    path = Path(target)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        mode = stat.S_IFREG
    if stat.S_ISFIFO(mode):
        return PipeFollower(os.open(path, os.O_RDONLY | os.O_NONBLOCK), name=str(path), tee=tee, ends=False)
    return FileFollower(path, cursor=cursor, clock=clock)


class FilesFollower:
    """Reads one file after the other as one log. `turn` switches to another file, at the place where it was left."""

    ended = False
    begins = False  # JSON lines need no header
    cursor: Cursor | None = None

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.changes: Counter[str] = Counter()
        self._clock = clock
        self._places: dict[Path, Cursor] = {}
        self._rest = b""
        self._begin(path)

    @property
    def source(self) -> str:
        return self._file.source

    @property
    def busy(self) -> bool:
        return self._file.busy

    @property
    def identity(self) -> tuple[int, int]:
        """The device and inode of the file."""
        return self._file.identity

    def poll(self) -> bytes:
        """Reads what is new, as `FileFollower.poll` does. The end of one file comes before the beginning of the
        next."""
        rest, self._rest = self._rest, b""
        return rest + self._file.poll()

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest + self._file.finish()

    def close(self) -> None:
        self._file.close()

    def turn(self, path: Path) -> None:
        """Switches to another file when the current file gives nothing more."""
        place = self._file.cursor
        if place is not None:
            self._places[Path(self.source)] = place
        rest = self._file.finish()
        self._rest += rest + (b"\n" if rest and not rest.endswith(b"\n") else b"")
        self._file.close()
        self.changes["switched"] += 1
        self._begin(path)

    def _begin(self, path: Path) -> None:
        self._file = FileFollower(path, cursor=self._places.get(path), clock=self._clock)
        self._file.changes = self.changes


class PipeFollower:
    """Reads a pipe. `tee`: file descriptors that get the same bytes, each as long as somebody reads it.

    `ends`: the end of the pipe is the end of the log. A named pipe does not end, because other writers may open it."""

    begins = False
    cursor: Cursor | None = None

    def __init__(self, fd: int, *, name: str = "-", tee: Sequence[int] = (), ends: bool = True) -> None:
        self.source = name
        self.busy = False
        self.ended = False
        self.changes: Counter[str] = Counter()
        self._fd = fd
        self._tee = list(tee)
        self._ends = ends

    def poll(self) -> bytes:
        """The data since the last call, at most 1 MiB; lines may be cut."""
        pieces: list[bytes] = []
        size = 0
        self.busy = False
        while not self.ended and not self.busy and select.select([self._fd], [], [], 0)[0]:
            piece = self._read()
            if not piece:
                break
            self._pass_on(piece)
            pieces.append(piece)
            size += len(piece)
            self.busy = size >= READ
        return b"".join(pieces)

    def finish(self) -> bytes:
        return b"" if self.ended else self.poll()

    def close(self) -> None:
        """Does nothing: the descriptor belongs to whoever opened it."""

    def _read(self) -> bytes:
        try:
            piece = os.read(self._fd, READ)
        except BlockingIOError:
            return b""
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadableSource(f"cannot read {self.source}: {reason}", hint="pipe a log into the command") from None
        self.ended = not piece and self._ends
        return piece

    def _pass_on(self, data: bytes) -> None:
        for fd in tuple(self._tee):
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(fd, view) :]
                except BlockingIOError:
                    select.select([], [fd], [])
                except OSError:  # nobody reads it any more, or the disk is full; the log is still watched
                    self._tee.remove(fd)
                    break
