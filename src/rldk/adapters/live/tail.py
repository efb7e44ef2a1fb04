"""Follows one file that is being written: its new complete lines, through rotation, truncation and replacement."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from rldk.core.lines import MAX_LINE
from rldk.errors import UnreadableSource, UsageError

READ = 1 << 20  # bytes taken in one poll, so that several files get their turn
MAX_POLLS = 10_000  # at the end, should the writer go on
MAX_COPY = 64 << 20  # bytes read of a copy at once
HEAD, TAIL = 1024, 64  # bytes by which a file and a place in it are known again
# What a network file system shows before it shows the truth: NULs where data is due, an end before what was read.
NUL_S = 3.0
SHORT_S = 1.0


class Cursor(Struct, frozen=True, kw_only=True):
    """A place in a file, `offset` bytes and `lines` lines from its start. `head`: the digest of the first `head_size`
    bytes. `tail`: the digest of the `tail_size` bytes before the place. They distinguish the file from a later one with
    the same name."""

    path: str
    device: int
    inode: int
    offset: int
    lines: int
    head_size: int
    head: str
    tail_size: int
    tail: str

    def to_dict(self) -> dict[str, Any]:
        """The cursor in plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cursor:
        """The cursor in the output of `to_dict`. Raises `UsageError` for other data."""
        try:
            found = msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise UsageError(
                f"the state file holds no position in a log: {error}", hint="start without the state file"
            ) from None
        if not 0 <= found.tail_size <= found.offset < 2**62 or not 0 <= found.head_size <= HEAD:
            raise UsageError("the saved position in a log is impossible", hint="start without the state file")
        return found

    def fits(self, fd: int) -> bool:
        """Whether the open file has the same beginning and the same bytes before the place."""
        head = os.pread(fd, self.head_size, 0)
        tail = os.pread(fd, self.tail_size, self.offset - self.tail_size)
        return _digest(head) == self.head and _digest(tail) == self.tail


class FileFollower:
    """Gives the new complete lines of one file, which may appear later. An unfinished line waits for its end.

    A file that was renamed away is read to its end before the one that took its name. A file that is replaced by a
    longer copy of itself (rsync) goes on where it was. When a file is copied and then cut (copytruncate), the follower
    reads what the copy holds beyond the place. `changes` counts what happened: "rotated", "replaced", "truncated",
    "copied", "read_from_copy", and "unseen" for each cut before which lines may have come that nobody saw. Polling
    only; raises `UnreadableSource` when the file is there and may not be read."""

    ended = False

    def __init__(
        self, path: Path, *, cursor: Cursor | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source = str(path)
        self.busy = False
        self.begins = False
        self.changes: Counter[str] = Counter()
        self._path = path
        self._resume = cursor
        self._clock = clock
        self._fd: int | None = None
        self.identity = (0, 0)  # device and inode of the open file
        self._offset = 0
        self._lines = 0
        self._head = b""  # the first bytes given from the file
        self._tail = b""  # the last bytes that were given
        self._line_open = False  # what was given last has no newline at its end
        self._at_start = True  # nothing of the open file was given
        self._due = b""  # the newline that it gets once it is known that its end will never come
        self._left = b""  # what a copy of the file held when the file itself was cut
        self._moved = False  # the name belongs to another file since the last poll
        self._nul_since: float | None = None
        self._short_since: float | None = None

    @property
    def cursor(self) -> Cursor | None:
        """The place after the last line given; None before the file exists."""
        if self._fd is None:
            return None
        return Cursor(
            path=str(self._path),
            device=self.identity[0],
            inode=self.identity[1],
            offset=self._offset,
            lines=self._lines,
            head_size=len(self._head),
            head=_digest(self._head),
            tail_size=len(self._tail),
            tail=_digest(self._tail),
        )

    def poll(self) -> bytes:
        """The complete lines since the last call, at most about 1 MiB. `busy` tells whether there are more."""
        self.begins = False
        try:
            if self._fd is None and not self._open():
                return b""
            data = self._read()
            if data:
                self._moved = False
                return data
            return self._look()
        except OSError:  # a stale handle of a network file system: open the file again and continue
            self._resume = self.cursor
            self.close()
            return b""

    def finish(self) -> bytes:
        """The rest of the data, including an unfinished last line."""
        pieces = [self.poll(), self.poll()]
        # a file that lost its name shows its successor at the second look
        while any(pieces[-2:]) and len(pieces) < MAX_POLLS:
            pieces.append(self.poll())
        return b"".join(pieces) + self._rest()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None

    def _open(self) -> bool:
        fd = _opened(self._path)
        if fd is None:
            return False
        cursor, self._resume = self._resume, None
        if cursor is not None and not cursor.fits(fd):
            old = _elsewhere(self._path, cursor)
            if old is not None:
                os.close(fd)
                fd = old
            else:
                cursor = None
                self.changes["replaced"] += 1
        self._take(fd, cursor)
        return True

    def _take(self, fd: int, cursor: Cursor | None = None) -> None:
        """Switches to another open file, at its beginning or at the cursor."""
        self.close()
        self._fd = fd
        self.identity = _identity(os.fstat(fd))
        self._moved = False
        if cursor is None:
            self._begin()
            return
        self._at_start = False
        self._offset, self._lines = cursor.offset, cursor.lines
        self._head = os.pread(fd, cursor.head_size, 0)
        self._tail = os.pread(fd, cursor.tail_size, cursor.offset - cursor.tail_size)

    def _begin(self) -> None:
        """Goes to the beginning of the file."""
        self._due = b"\n" if self._line_open else b""
        self._line_open = False
        self._at_start = True
        self._offset = self._lines = 0
        self._head = self._tail = b""
        self._nul_since = self._short_since = None

    def _read(self) -> bytes:
        """The next whole lines. Reads by offset: the size that a network file system tells may be old."""
        if self._left:
            left, self._left = self._left, b""
            return left
        body, size = self._body(READ)
        while b"\n" not in body and len(body) == size and size <= MAX_LINE:
            body, size = self._body(2 * size)
        self.busy = len(body) == size
        data = body[: body.rfind(b"\n") + 1]
        if not data and len(body) > MAX_LINE:
            data = body
        return self._give(data)

    def _body(self, size: int) -> tuple[bytes, int]:
        fd, tail = self._fd, self._tail
        if fd is None:
            return b"", size
        found = os.pread(fd, len(tail) + size, self._offset - len(tail))
        if found[: len(tail)] == tail:
            self._short_since = None
        elif len(found) < len(tail) and not self._too_short():
            return b"", size
        else:
            self._restart(fd)
            return b"", size  # the writer may be in the middle of a rewrite
        body = found[len(tail) :]
        nul = body.find(b"\0")
        if nul < 0:
            self._nul_since = None
            return body, size
        self._nul_since = self._clock() if self._nul_since is None else self._nul_since
        return (body if self._clock() - self._nul_since > NUL_S else body[:nul]), size

    def _too_short(self) -> bool:
        """Whether the file has been shorter than the data read from it for long enough to be sure."""
        self._short_since = self._clock() if self._short_since is None else self._short_since
        return self._clock() - self._short_since > SHORT_S

    def _restart(self, fd: int) -> None:
        """Begins again after a truncation. A writer that did not notice it leaves NULs up to where it continues."""
        self.changes["truncated"] += 1
        left = _copied(self._path, self.cursor)
        self.changes["unseen" if left is None else "read_from_copy"] += 1
        self._left = left + b"\n" if left and not left.endswith(b"\n") else left or b""
        self._line_open = self._line_open and not left
        self._begin()
        try:
            self._offset = os.lseek(fd, 0, os.SEEK_DATA)
        except OSError:
            self._offset = 0
        while (block := os.pread(fd, READ, self._offset)) and not block.strip(b"\0"):
            self._offset += len(block)
        self._offset += len(block) - len(block.lstrip(b"\0"))

    def _give(self, data: bytes) -> bytes:
        """Moves the place behind the data and returns the data."""
        if not data:
            return b""
        if self._offset == len(self._head) < HEAD:
            self._head = (self._head + data[:HEAD])[:HEAD]
        self._offset += len(data)
        self._lines += data.count(b"\n")
        self._tail = (self._tail + data[-TAIL:])[-TAIL:]
        self._nul_since = None
        self.begins, self._at_start = self._at_start, False
        due, self._due = self._due, b""
        self._line_open = not data.endswith(b"\n")
        return due + data

    def _rest(self) -> bytes:
        return self._give(self._body(2 * MAX_LINE)[0]) if self._fd is not None else b""

    def _look(self) -> bytes:
        """Finds out what happened to a file that gives no more data; another file may have its name."""
        try:
            found = self._path.stat()
        except OSError:  # the file was deleted, or its directory is missing for a moment: the open file continues
            return b""
        if _identity(found) == self.identity:
            self._moved = False
            return b""
        if not self._moved:  # its writer may still be about to write the last lines into the old one
            self._moved = True
            return b""
        return self._switch()

    def _switch(self) -> bytes:
        """Switches to the file that has the name now, and ends the unfinished line of the old one."""
        old, fd = self._fd, _opened(self._path)
        if old is None or fd is None:
            return b""
        cursor = self.cursor
        if cursor is not None and cursor.offset and cursor.fits(fd):
            self.changes["copied"] += 1
            self._take(fd, cursor)
            return b""
        rest = self._rest()
        rest += b"\n" if self._line_open else b""
        self._line_open = False
        self.changes["rotated" if os.fstat(old).st_nlink else "replaced"] += 1
        self._take(fd)
        self.busy = True
        return rest


def _opened(path: Path) -> int | None:
    """The open file; None while it does not exist. The function does not wait for a pipe in its place."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableSource(f"cannot read {path}: {reason}", hint="check the path and its permissions") from None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise UnreadableSource(f"{path} is no longer a file", hint="give the file that the trainer writes")


def _elsewhere(path: Path, cursor: Cursor) -> int | None:
    """The open file of the cursor, if it lies beside `path` under a longer name (metrics.jsonl.1)."""
    for other in sorted(path.parent.glob(f"{glob.escape(path.name)}?*")):
        try:
            if _identity(other.stat()) != (cursor.device, cursor.inode):
                continue
            fd = _opened(other)
        except (OSError, UnreadableSource):
            continue
        if fd is not None and cursor.fits(fd):
            return fd
        if fd is not None:
            os.close(fd)
    return None


def _copied(path: Path, cursor: Cursor | None) -> bytes | None:
    """What a copy of the file beside it (metrics.jsonl.1, metrics.jsonl-20261129) has after the place; None where there
    is no copy that has everything before the place."""
    if cursor is None or not cursor.offset:
        return None
    for other in sorted(path.parent.glob(f"{glob.escape(path.name)}?*"), key=_written, reverse=True):
        try:
            fd = _opened(other)
        except UnreadableSource:
            continue
        if fd is None:
            continue
        try:
            if os.fstat(fd).st_size >= cursor.offset and cursor.fits(fd):
                return os.pread(fd, MAX_COPY, cursor.offset)
        except OSError:
            continue
        finally:
            os.close(fd)
    return None


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
