"""Runs replicas within limits, so many at a time, and ends all of them whatever happens."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from rldk.engine.replicas.launch import STDERR, STDOUT, Handle, Launcher, ReplicaCommand, ReplicaEnd, ReplicaEnding

POLL_S = 0.02
KEPT = 1 << 20  # bytes of each file of a replica that printed or wrote too much
SPACE_EACH = 50  # polls between two looks at the free space of the disk
Began = Callable[[ReplicaCommand], object]


class ReplicaLimits(Struct, frozen=True, kw_only=True):
    """`time_s`: of one replica, None without a limit. `printed`: bytes on stdout and stderr together. `free`: bytes of
    the disks of its folder, and of the one that it was started in, that must stay free. `written`: bytes that a replica
    may write into its folder. `shorten`: of a replica that is ended for one of these, only the beginning of each large
    file is kept. `stop`: asked at every look; a replica for which it says True is ended."""

    time_s: float | None = None
    printed: int = 256 << 20
    free: int = 256 << 20
    written: int = 20 << 30
    shorten: bool = True
    stop: Callable[[ReplicaCommand], bool] | None = None


class _Running(Struct):
    place: int
    command: ReplicaCommand
    handle: Handle
    began: float
    polls: int = 0


def run_replicas(
    commands: Sequence[ReplicaCommand],
    launcher: Launcher,
    limits: ReplicaLimits,
    jobs: int = 1,
    begin: Began = lambda _: None,
) -> Iterator[tuple[int, ReplicaEnd]]:
    """Yields the place of each command with how it ended, in the order of ending. `begin` is called before each start.

    A caller that stops early, or is interrupted, leaves nothing running. Raises `UsageError` when one cannot be
    started."""
    waiting = deque(enumerate(commands))
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < max(1, jobs):
                place, command = waiting.popleft()
                begin(command)
                handle = launcher.start(command)
                running.append(_Running(place=place, command=command, handle=handle, began=time.monotonic()))
            for one in tuple(running):
                end = _look(one, limits)
                if end is not None:
                    running.remove(one)
                    yield one.place, end
            time.sleep(POLL_S)
    finally:
        for one in running:
            one.handle.end()


def _look(one: _Running, limits: ReplicaLimits) -> ReplicaEnd | None:
    """How the replica ended, or None while it may go on."""
    code = one.handle.exit_code()
    if code is None and one.handle.waiting():
        one.began = time.monotonic()
    seconds = time.monotonic() - one.began
    how = "ended" if code is not None else _excess(one, seconds, limits)
    if how is None:
        return None
    left = one.handle.end()
    if how in ("flooded", "large", "full") and limits.shorten:
        shorten_files(one.command.folder)
    return ReplicaEnd(how=how, code=code, seconds=seconds, left=left)


def shorten_files(folder: Path) -> None:
    """Keeps the beginning of each large file in the folder of a replica that printed or wrote too much.

    Links are left alone, and so are files that have another name elsewhere: these are not the replica's."""
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                _shorten(Path(root, name))


def _shorten(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe without a reader must not block
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_size > KEPT:
            os.ftruncate(file, KEPT)
    finally:
        os.close(file)


def _excess(one: _Running, seconds: float, limits: ReplicaLimits) -> ReplicaEnding | None:
    one.polls += 1
    folder = one.command.folder
    if limits.time_s is not None and seconds > limits.time_s:
        return "late"
    if _size(folder / STDOUT) + _size(folder / STDERR) > limits.printed:
        return "flooded"
    if one.polls % SPACE_EACH == 0:
        if min(shutil.disk_usage(place).free for place in (folder, one.command.cwd)) < limits.free:
            return "full"
        if folder_size(folder, limits.written) > limits.written:
            return "large"
    if limits.stop is not None and limits.stop(one.command):
        return "stopped"
    return None


def folder_size(folder: Path, enough: int) -> int:
    """The bytes on the disk of the files in a folder; of a large one, the first figure above `enough`. Links are not
    followed, and holes in a file take no space."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 - many times faster than a Path
        if total > enough:
            break
    return total


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
