"""Which process a pid is, and ending it for good: never another one that has got its number since."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from rldk.errors import UsageError

Ending = Literal["ended", "killed", "gone", "reused", "refused", "survived"]
PROC = Path("/proc")
LAST_WAIT_S = 3.0  # after SIGKILL: only a process stuck in the kernel (a hung network mount) outlives it
_PS = ("ps", "-o", "pid=,pgid=,stat=,lstart=")


class Process(Struct, frozen=True, kw_only=True):
    """A process that cannot be mistaken: no two have the same pid and start. `start`: clock ticks since boot, or the
    date that `ps` prints where there is no /proc. `dead`: it has ended, its parent has not asked for its status yet."""

    pid: int
    group: int
    start: str
    dead: bool = False


class Stopped(Struct, frozen=True, kw_only=True):
    """How a process was ended, and in words."""

    how: Ending
    detail: str


def identify(pid: int) -> Process | None:
    """The process that has this pid now, or None. Raises `UsageError` for a pid that must never be stopped."""
    if pid <= 1 or pid == os.getpid():
        raise UsageError(f"pid {pid} cannot be watched", hint="give the pid of the training process")
    return _find(pid)


def stop(target: Process, *, kill_timeout_s: float) -> Stopped:
    """What became of it: SIGTERM, and SIGKILL to what is left after `kill_timeout_s`.

    Signals go to the whole group when `target` leads one that is not ours, else to the pid alone. Returns when all of
    them have ended, at the latest some seconds after the timeout."""
    now = _find(target.pid)
    if now is None:
        return Stopped(how="gone", detail=f"process {target.pid} had already ended")
    if now.start != target.start:
        return Stopped(how="reused", detail=f"pid {target.pid} now belongs to another process; it was left alone")
    if now.pid <= 1 or now.pid == os.getpid():
        return Stopped(how="refused", detail=f"process {now.pid} is not one to stop")
    started = time.monotonic()
    pack = _Pack(now)
    try:
        pack.send(signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            pack.send(signal.SIGCONT)  # a suspended process takes SIGTERM only once it runs again
        if pack.wait(kill_timeout_s):
            return Stopped(how="ended", detail=f"SIGTERM ended {pack} in {time.monotonic() - started:.1f} s")
        with contextlib.suppress(ProcessLookupError):
            pack.send(signal.SIGKILL)
    except ProcessLookupError:
        return Stopped(how="gone", detail=f"{pack} ended just before SIGTERM")
    except PermissionError:
        return Stopped(how="refused", detail=f"not permitted to signal {pack}")
    if pack.wait(LAST_WAIT_S):
        return Stopped(how="killed", detail=f"{pack} ignored SIGTERM for {kill_timeout_s:g} s: SIGKILL")
    return Stopped(how="survived", detail=f"{pack} is still there after SIGKILL (stuck in the kernel?)")


class _Pack:
    """What is to end: one process, or the group it leads.

    A group's number is taken for as long as it has one member. So when a member seen at the last look is still there,
    the group is the same one; when none is, the number may be somebody else's and nothing is sent."""

    def __init__(self, leader: Process) -> None:
        self._leader = leader
        self._whole = leader.group == leader.pid and leader.group != os.getpgrp()
        self._left = {leader.pid: leader.start}
        self._look()
        self._size = max(len(self._left), 1)

    def __str__(self) -> str:
        if not self._whole:
            return f"process {self._leader.pid}"
        return f"process group {self._leader.pid} ({self._size} process{'es' * (self._size > 1)})"

    def send(self, number: signal.Signals) -> None:
        """Raises `ProcessLookupError` when nothing is left."""
        if not self._look():
            raise ProcessLookupError
        if self._whole:
            os.killpg(self._leader.pid, number)
        else:
            os.kill(self._leader.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """True as soon as all have ended."""
        deadline, pause = time.monotonic() + timeout_s, 0.01
        while self._look():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.2)
        return True

    def _look(self) -> bool:
        seen = _members(self._leader.pid) if self._whole else _one(self._leader.pid)
        alive = {p.pid: p.start for p in seen if not p.dead}
        self._left = alive if alive.items() & self._left.items() else {}
        return bool(self._left)


def _find(pid: int) -> Process | None:
    found = next(iter(_one(pid)), None)
    return None if found is None or found.dead else found


def _one(pid: int) -> list[Process]:
    if _has_proc():
        return list(_from_proc([pid]))
    return list(_from_ps(("-p", str(pid))))


def _members(group: int) -> list[Process]:
    """Everything in the group, the dead included."""
    if _has_proc():
        everything = _from_proc(int(path.name) for path in PROC.iterdir() if path.name.isdigit())
    else:
        everything = _from_ps(("-A",))
    return [p for p in everything if p.group == group]


def _has_proc() -> bool:
    return (PROC / "self" / "stat").exists()


def _from_proc(pids: Iterable[int]) -> Iterator[Process]:
    for pid in pids:
        try:
            text = (PROC / str(pid) / "stat").read_bytes()
        except OSError:  # ended while we looked
            continue
        fields = text[text.rindex(b")") + 2 :].split()  # the name before it may hold blanks and brackets
        yield Process(pid=pid, group=int(fields[2]), start=fields[19].decode(), dead=fields[0] in b"ZXx")


def _from_ps(which: Sequence[str]) -> Iterator[Process]:
    command = [*_PS, *which]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in out.stdout.splitlines():
        pid, group, state, start = line.split(None, 3)
        yield Process(pid=int(pid), group=int(group), start=start.strip(), dead=state.startswith("Z"))
