"""Where runs go, and that two processes never take the same directory."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

from rldk.core.manifest import process_birth
from rldk.core.rundir import WRITER
from rldk.errors import UsageError

TORN_AFTER_S = 600.0
NAME_BYTES = 200  # a file system allows 255; an ending takes some of them
_one_by_one = threading.Lock()
_held: set[Path] = set()  # by this process, whose own locks do not stop it


def shelf() -> Path:
    """The directory of all runs: `$RLDK_DIR`, by default `runs`."""
    return Path(os.environ.get("RLDK_DIR") or "runs")


def word(text: str) -> str:
    """The text as the name of one directory."""
    made = re.sub(r"[^\w.=+-]+", "-", text).strip("-.")[:100]
    return made.encode()[:NAME_BYTES].decode(errors="ignore") or "run"


def file_word(text: str) -> str:
    """The text as the name of one file, another one for every other text."""
    made = word(text)
    return made if made == text else f"{made}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def new_folder(home: Path, wanted: str) -> Path:
    """A directory in `home` that did not exist before: `wanted`, or `wanted-2` and so on when it is taken. Raises
    `OSError`."""
    home.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = home / (wanted if number == 1 else f"{wanted}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def remove_torn(folder: Path) -> None:
    """Removes what a process that was killed left half written. A file that is being written now stays."""
    for path in (*folder.glob(".*.part"), *folder.glob("*/.*.part")):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > TORN_AFTER_S:
                path.unlink()


class Claim:
    """The right to write the run in a directory. The kernel takes it back when the process dies, however it dies.

    Raises `UsageError` when another process has it, or this one has it already. Where the file system has no locks,
    nobody is kept out."""

    def __init__(self, folder: Path, rank: int) -> None:
        with _one_by_one:
            self._take(folder, rank)

    def _take(self, folder: Path, rank: int) -> None:
        self._path = folder.resolve() / (f"{WRITER}.rank{rank}" if rank else WRITER)
        self._fd = -1
        if self._path in _held:
            raise _taken(folder, "this process")
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            owner = os.read(self._fd, 20).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise _taken(folder, f"process {owner}" if owner.isdecimal() else "another process") from None
        except OSError:
            pass
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        self._owner = (os.getpid(), process_birth(os.getpid()))
        _held.add(self._path)

    def release(self) -> None:
        """Lets others write. Later calls do nothing, and so do those of a forked child, which has no right to it."""
        if self._fd >= 0 and self._owner == (os.getpid(), process_birth(os.getpid())):
            os.close(self._fd)
            self._fd = -1
            _held.discard(self._path)


def _taken(folder: Path, by: str) -> UsageError:
    return UsageError(
        f"{folder} is being written by {by}", hint="give another experiment_id, or wait until that run has ended"
    )
