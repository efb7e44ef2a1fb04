"""A file that alerts are appended to. Each alert is on the disk before the next one is handled, or waits until it can
be."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MAX_WAITING = 10_000  # records kept while the disk is full; the oldest are given up first


class AppendedFile:
    """Appends lines with one write and one fsync each. A line that cannot be written waits and is tried again.

    `say` is called once when writing fails and once when it works again."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path = path
        self.lost = 0
        self._say = say
        self._waiting: deque[bytes] = deque()
        self._failing = False
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
            self.lost += 1
        return self.retry()

    def retry(self) -> bool:
        """Writes the waiting lines. Returns whether nothing is left."""
        try:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            self._close()
            if not self._failing:
                self._failing = True
                reason = getattr(error, "strerror", None) or str(error)
                self._say(f"cannot write {self.path}: {reason}; monitoring goes on, and rldk tries again")
            return False
        if self._failing:
            self._failing = False
            self._say(f"{self.path} can be written again")
        return True

    def close(self) -> None:
        """Tries the waiting lines a last time, and reports what is lost."""
        self.retry()
        self._close()
        lost = self.lost + len(self._waiting)
        if lost:
            self._say(f"{lost} records were not written to {self.path}")

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
        data = b"\n" + line if self._torn else line
        start = os.fstat(self._fd).st_size
        sent = os.write(self._fd, data)
        if sent < len(data):  # the disk filled up in the middle of the line: remove the half line
            self._torn = True
            with suppress(OSError):
                os.ftruncate(self._fd, start)
                self._torn = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a pipe cannot be synced
                raise
