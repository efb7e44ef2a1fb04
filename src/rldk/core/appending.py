"""A file that records such as alerts are appended to. Each record is on the disk before the next one is handled, or
waits until it can be."""

from __future__ import annotations

import errno
import os
from collections import deque
from contextlib import suppress
from pathlib import Path

from rldk.core.files import append_whole
from rldk.outage import Outage

MAX_WAITING = 10_000  # records kept while the disk is full; the oldest are given up first


class AppendedFile:
    """Appends lines with one write and one fsync each. A line that cannot be written waits and is tried again.

    `outage` says that writing fails, and that it works again. `lost`: lines that were given up."""

    def __init__(self, path: Path, outage: Outage) -> None:
        self.path = path
        self.lost = 0
        self._outage = outage
        self._waiting: deque[bytes] = deque()
        self._fd = -1
        self._torn = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def append(self, line: str) -> bool:
        """Whether the line is on the disk. Otherwise `retry` tries it again, in order."""
        self._waiting.append(line.encode("utf-8", "replace") + b"\n")
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._lose(1)
        return self.retry()

    def retry(self) -> bool:
        """Writes the waiting lines. Returns whether nothing is left."""
        try:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            self._close()
            self._outage.failed(self.path, error)
            return False
        self._outage.worked(self.path)
        return True

    @property
    def is_begun(self) -> bool:
        """Whether the file is open."""
        return self._fd >= 0

    def forget(self) -> None:
        """Begins a new file with the next line: this one was removed."""
        self._close()

    def close(self) -> None:
        """Tries the waiting lines a last time, and gives up those that are left."""
        self.retry()
        self._close()
        self._lose(len(self._waiting))
        self._waiting.clear()

    def _lose(self, lines: int) -> None:
        self.lost += lines
        self._outage.lose(self.path, lines)

    def _close(self) -> None:
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with suppress(OSError):  # a pipe or a terminal cannot be read back
            size = os.fstat(self._fd).st_size
            self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def _write(self, line: bytes) -> None:
        if self._fd < 0:
            self._open()
        append_whole(self._fd, b"\n" + line if self._torn else line)
        self._torn = False
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a pipe cannot be synced
                raise
