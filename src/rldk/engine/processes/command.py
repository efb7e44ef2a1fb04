"""Runs a command with limits on its time and on how much of its output is kept."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import subprocess

KEPT_BYTES = 4096
_TICK_S = 0.1
_LAST_WAIT_S = 3.0


class Completed(Struct, frozen=True, kw_only=True):
    """The result of a command. `code`: the exit status, negative for a signal, None when it was ended for running too
    long.

    `output`: the first 4 KiB of what it wrote on both streams."""

    code: int | None
    output: str


def run(argv: Sequence[str], *, timeout_s: float, hurry: threading.Event | None = None) -> Completed:
    """Runs the command without shell or input, in its own session. Raises `OSError` and `ValueError` when it cannot be
    started.

    It is ended with its group after `timeout_s`, or as soon as `hurry` is set."""
    import subprocess

    process = subprocess.Popen(  # noqa: S603 - argv as the user wrote it, allowed by the user on the command line
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output, late = _follow(process, time.monotonic() + timeout_s, hurry or threading.Event())
    if late:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # a process of another user, or one stuck in the kernel, is not awaited
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WAIT_S)
    if process.stdout is not None:
        process.stdout.close()
    return Completed(code=None if late else process.returncode, output=output.decode("utf-8", "replace"))


def _follow(process: subprocess.Popen[bytes], deadline: float, hurry: threading.Event) -> tuple[bytes, bool]:
    """Reads until the process has ended. Its background processes may hold the pipe open for ever."""
    kept = bytearray()
    pipe = process.stdout
    with selectors.DefaultSelector() as selector:
        if pipe is not None:
            selector.register(pipe, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            ready = selector.select(0 if ended else _TICK_S) if selector.get_map() else []
            chunk = os.read(ready[0][0].fd, 65536) if ready else b""
            kept += chunk[: KEPT_BYTES - len(kept)]
            if ended and not chunk:
                return bytes(kept), False
            if ready and not chunk and pipe is not None:
                selector.unregister(pipe)
            elif not selector.get_map() and not ended:
                hurry.wait(_TICK_S)
            if time.monotonic() > deadline or hurry.is_set():
                return bytes(kept), not ended
