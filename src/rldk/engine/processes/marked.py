"""Processes that carry a mark in their environment. A child has the mark of its parent, also in a session of its own
and after its parent has ended."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from rldk.engine.processes.identity import PROC, Process, identify, stop
from rldk.errors import UsageError

MARK = "RLDK_REPLICA"
PATIENCE_S = 1.0  # what is left may be about to end by itself
_ROUNDS = 5  # a process may start others while it is being ended
_KILL_S = 1.0


def marked(value: str, name: str = MARK) -> list[Process]:
    """The living processes that were started with this value of a variable. Empty where there is no /proc."""
    wanted = f"{name}={value}".encode()
    found = []
    with suppress(OSError):
        for place in PROC.iterdir():
            if not place.name.isdigit() or int(place.name) in (1, os.getpid()):
                continue
            with suppress(OSError, UsageError):
                if wanted in _environment(place):
                    process = identify(int(place.name))
                    found += [process] if process is not None else []
    return found


def _environment(place: Path) -> list[bytes]:
    """The variables of a process. One whose first thread has ended shows them at its other threads."""
    try:
        return (place / "environ").read_bytes().split(b"\0")
    except ProcessLookupError:
        for thread in (place / "task").iterdir():
            with suppress(OSError):
                return (thread / "environ").read_bytes().split(b"\0")
        return []


def end_marked(value: str) -> int:
    """Ends every process with this mark, and returns how many did not end by themselves within a second."""
    deadline = time.monotonic() + PATIENCE_S
    while (left := marked(value)) and time.monotonic() < deadline:
        time.sleep(0.05)
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        if not left:
            break
        for process in left:
            stop(process, kill_timeout_s=_KILL_S)
            ended.add(process.pid)
        left = marked(value)
    return len(ended)
