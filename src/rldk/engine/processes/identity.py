"""Identifies the process of a pid and ends it for good. A process that got the same number later is left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from rldk.errors import UsageError

Ending = Literal["ended", "killed", "gone", "reused", "refused", "survived"]
PROC = Path("/proc")
LAST_WAIT_S = 3.0  # after SIGKILL: only a process stuck in the kernel (a hung network mount) lives longer
_PS = ("ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart=")
_NAMED = 8  # pids that a message lists at most


class Process(Struct, frozen=True, kw_only=True):
    """A process that cannot be mistaken: no two have the same pid and start.

    `start`: clock ticks since boot, or the date that `ps` prints where there is no /proc. `dead`: it has ended, but its
    parent has not asked for its status yet."""

    pid: int
    parent: int
    group: int
    start: str
    dead: bool = False


class Stopped(Struct, frozen=True, kw_only=True):
    """How a process was ended, as a word and as a sentence."""

    how: Ending
    detail: str


def identify(pid: int) -> Process | None:
    """The process that has this pid now, or None. Raises `UsageError` for a pid that must never be stopped."""
    if pid <= 1 or pid == os.getpid():
        raise UsageError(f"pid {pid} cannot be watched", hint="give the pid of the training process")
    return _find(pid)


def stop(target: Process, *, kill_timeout_s: float) -> Stopped:
    """Ends a process and says what became of it: SIGTERM first, and SIGKILL for what is left after `kill_timeout_s`.

    Signals go to the process and to the whole group when it leads one that is not ours. They also go to all
    descendants, even to those with their own session, but never to the caller. The function returns when all of them
    have ended, at the latest some seconds after the timeout. A descendant whose parents had all ended before is not
    found."""
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
    return Stopped(
        how="survived",
        detail=f"{pack.left} are still there after SIGKILL to {pack} (stuck in the kernel, or owned by another user)",
    )


def descendants(pid: int) -> list[Process]:
    """The living process with this pid and all that descend from it, as far as their parents still live."""
    alive = {p.pid: p for p in _everything() if not p.dead}
    known = {pid} & alive.keys()
    found = known
    while found:
        found = {each.pid for each in alive.values() if each.parent in found} - known
        known = known | found
    return [alive[number] for number in sorted(known)]


class _Pack:
    """The processes to end: a process or the group it leads, and their descendants.

    Each member is known by pid and start, so that a child is still known when its parent has ended. The number of a
    group stays in use while it has a member. While one of the members seen last is there, the group is the same."""

    def __init__(self, leader: Process) -> None:
        self._leader = leader
        self._whole = leader.group == leader.pid and leader.group != os.getpgrp()
        self._left: dict[int, Process] = {leader.pid: leader}
        self._seen: set[int] = {leader.pid}
        self._look()

    def __str__(self) -> str:
        others = sorted(self._seen - {self._leader.pid})
        named = ", ".join(map(str, others[:_NAMED])) + (", ..." if len(others) > _NAMED else "")
        what = "process group" if self._whole else "process"
        return f"{what} {self._leader.pid}" + (f" with {len(others)} more ({named})" if others else "")

    @property
    def left(self) -> str:
        """The pids that are still there."""
        return ", ".join(map(str, sorted(self._left)[:_NAMED]))

    def send(self, number: signal.Signals) -> None:
        """Sends a signal. Raises `ProcessLookupError` when nothing is left, `PermissionError` when nothing may be
        signalled."""
        if not self._look():
            raise ProcessLookupError
        reached, refused = False, False
        for pid in self._left:
            try:
                os.killpg(pid, number) if self._whole and pid == self._leader.pid else os.kill(pid, number)
            except ProcessLookupError:
                continue
            except PermissionError:
                refused = True
            else:
                reached = True
        if refused and not reached:
            raise PermissionError

    def wait(self, timeout_s: float) -> bool:
        """Waits until all have ended. True if they did in time."""
        deadline, pause = time.monotonic() + timeout_s, 0.01
        while self._look():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.2)
        return True

    def _look(self) -> bool:
        alive = {p.pid: p for p in _everything() if not p.dead and p.pid != os.getpid()}
        known = {pid for pid, member in self._left.items() if pid in alive and alive[pid].start == member.start}
        if self._whole and any(alive[pid].group == self._leader.pid for pid in known):
            known |= {pid for pid, each in alive.items() if each.group == self._leader.pid}
        found = known
        while found:
            found = {pid for pid, each in alive.items() if each.parent in found} - known
            known |= found
        self._left = {pid: alive[pid] for pid in known}
        self._seen |= known
        return bool(known)


def _find(pid: int) -> Process | None:
    """The process that has this pid and has not ended."""
    found = next(_from_proc([pid]) if _has_proc() else (p for p in _from_ps() if p.pid == pid), None)
    return None if found is None or found.dead else found


def _everything() -> Iterator[Process]:
    """Every process, including dead ones."""
    if _has_proc():
        yield from _from_proc(int(path.name) for path in PROC.iterdir() if path.name.isdigit())
    else:
        yield from _from_ps()


def _has_proc() -> bool:
    return (PROC / "self" / "stat").exists()


def _from_proc(pids: Iterable[int]) -> Iterator[Process]:
    for pid in pids:
        try:
            text = (PROC / str(pid) / "stat").read_bytes()
        except OSError:  # it ended while we looked
            continue
        fields = text[text.rindex(b")") + 2 :].split()  # the name before it may contain blanks and brackets
        # the first thread of a process may have ended (Z) while others of it still run: it is then not dead
        dead = fields[0] in b"Xx" or (fields[0] == b"Z" and int(fields[17]) <= 1)
        yield Process(pid=pid, parent=int(fields[1]), group=int(fields[2]), start=fields[19].decode(), dead=dead)


def _from_ps() -> Iterator[Process]:
    import subprocess

    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        out = subprocess.run(_PS, capture_output=True, text=True, check=False, env=environment, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in out.stdout.splitlines():
        pid, parent, group, state, start = line.split(None, 4)
        yield Process(
            pid=int(pid), parent=int(parent), group=int(group), start=start.strip(), dead=state.startswith("Z")
        )
