"""Bytes of a log as they are written: of a file, of the newest file in a directory, of what is piped in."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

from rldk.adapters.live.tail import READ, Cursor, FileFollower
from rldk.errors import UnreadableSource

QUIET_S = 5.0  # how long a file must give nothing before another old one, written meanwhile, is followed instead
_OTHERS = ("alerts", "samples")  # what else than metrics rldk writes as *.jsonl into the directory of a run


class Follower(Protocol):
    """Polled for what came. `source`: what is read just now. `ended`: nothing can come any more. `begins`: what the
    last poll gave is the beginning of a file. `changes`: what happened to the files, counted."""

    source: str
    ended: bool
    begins: bool
    changes: Counter[str]

    @property
    def busy(self) -> bool:
        """The next poll finds more at once."""

    @property
    def cursor(self) -> Cursor | None:
        """The place behind what was given, None where there is none to go back to."""

    def poll(self) -> bytes:
        """What came since the last call; never waits."""

    def finish(self) -> bytes:
        """All that is left, an unfinished line included."""

    def close(self) -> None: ...


def follow(
    target: str | os.PathLike[str],
    *,
    cursor: Cursor | None = None,
    tee: int | None = None,
    exclude: Collection[Path] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Follower:
    """A follower of a file (which need not exist yet), of a directory, or of standard input ("-").

    `cursor`: where to go on in a file. `tee`: file descriptor to which standard input is passed on unchanged.
    `exclude`: files of a directory that are not followed."""
    if target == "-":
        return PipeFollower(sys.stdin.fileno(), tee=tee)
    path = Path(target)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        return FolderFollower(path, exclude=exclude, clock=clock)
    if stat.S_ISFIFO(mode):
        return PipeFollower(os.open(path, os.O_RDONLY | os.O_NONBLOCK), name=str(path), tee=tee, ends=False)
    return FileFollower(path, cursor=cursor, clock=clock)


class FolderFollower:
    """The newest *.jsonl of a directory; a file that appears later and is newer takes over when the one before gives
    nothing more. Files that rldk itself writes there are left alone."""

    ended = False
    begins = False  # its JSON lines need no header
    cursor: Cursor | None = None

    def __init__(
        self, folder: Path, *, exclude: Collection[Path] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source = str(folder)
        self.changes: Counter[str] = Counter()
        self._folder = folder
        self._exclude = frozenset(os.path.realpath(path) for path in exclude)
        self._clock = clock
        self._file: FileFollower | None = None
        self._places: dict[str, Cursor] = {}
        self._seen: set[tuple[int, int]] = set()
        self._fed = clock()

    @property
    def busy(self) -> bool:
        return self._file is not None and self._file.busy

    def poll(self) -> bytes:
        """As `FileFollower.poll`; the end of one file comes before the beginning of the next."""
        data = self._file.poll() if self._file is not None else b""
        if data:
            self._fed = self._clock()
            return data
        found = sorted(self._listed())
        new = {identity for _, _, identity in found} - self._seen
        self._seen |= new
        if not found:
            return b""
        _, path, identity = found[-1]
        if self._file is None or (path, identity) == (self._file.source, self._file.identity):
            due = self._file is None
        elif identity == self._file.identity or path == self._file.source:
            due = False  # the file itself under a new name, or its successor under the old one: it knows
        else:
            due = identity in new or self._clock() - self._fed > QUIET_S
        return self._turn(path) if due else b""

    def finish(self) -> bytes:
        return self._file.finish() if self._file is not None else b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _listed(self) -> Iterator[tuple[int, str, tuple[int, int]]]:
        """(time of the last write, path, identity) of the files that may be followed."""
        try:
            entries = list(os.scandir(self._folder))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadableSource(f"cannot read {self._folder}: {reason}", hint="check the directory") from None
        for entry in entries:
            if not entry.name.endswith(".jsonl") or entry.name.startswith(_OTHERS):
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:  # gone since the directory was listed
                continue
            if stat.S_ISREG(found.st_mode) and os.path.realpath(entry.path) not in self._exclude:
                yield found.st_mtime_ns, entry.path, (found.st_dev, found.st_ino)

    def _turn(self, path: str) -> bytes:
        """Goes on with another file, at the place where it was left if it was read before."""
        rest = b""
        if self._file is not None:
            place = self._file.cursor
            if place is not None:
                self._places[self._file.source] = place
            rest = self._file.finish()
            rest += b"\n" if rest and not rest.endswith(b"\n") else b""
            self._file.close()
            self.changes["switched"] += 1
        self._file = FileFollower(Path(path), cursor=self._places.get(path), clock=self._clock)
        self._file.changes = self.changes
        self.source, self._fed = path, self._clock()
        return rest + self._file.poll()


class PipeFollower:
    """What is written into a pipe. `tee`: a file descriptor that gets the same bytes, until nobody reads it.

    `ends`: the end of the pipe is the end of the log; not so for a named one, which other writers may open."""

    begins = False
    cursor: Cursor | None = None

    def __init__(self, fd: int, *, name: str = "-", tee: int | None = None, ends: bool = True) -> None:
        self.source = name
        self.busy = False
        self.ended = False
        self.changes: Counter[str] = Counter()
        self._fd = fd
        self._tee = tee
        self._ends = ends

    def poll(self) -> bytes:
        """What came since the last call, at most 1 MiB; lines may be cut."""
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
        """The descriptor belongs to whoever opened it."""

    def _read(self) -> bytes:
        try:
            piece = os.read(self._fd, READ)
        except BlockingIOError:
            return b""
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadableSource(f"cannot read {self.source}: {reason}", hint="is something piped in?") from None
        self.ended = not piece and self._ends
        return piece

    def _pass_on(self, data: bytes) -> None:
        view = memoryview(data)
        while self._tee is not None and view:
            try:
                view = view[os.write(self._tee, view) :]
            except BlockingIOError:
                select.select([], [self._tee], [])
            except OSError:  # nobody reads it any more; the log is still watched
                self._tee = None
