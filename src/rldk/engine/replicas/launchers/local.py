"""Replicas as processes of this machine."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress

from rldk.engine.processes.identity import Process, identify, stop
from rldk.engine.processes.marked import MARK, end_marked
from rldk.engine.replicas.launch import STDERR, STDOUT, Handle, ReplicaCommand, launcher
from rldk.errors import UsageError

GRACE_S = 2.0  # from SIGTERM to SIGKILL


@launcher("local")
class LocalLauncher:
    """Starts each replica in a session of its own, without a keyboard, its output in files.

    `kill`: what has to be ended is killed at once (SIGKILL), as by a machine that fails. `environment`: the variables
    that a replica's own are added to; those of this process without it."""

    def __init__(self, *, kill: bool = False, environment: Mapping[str, str] | None = None) -> None:
        self._kill, self._environment = kill, environment

    def start(self, command: ReplicaCommand) -> Handle:
        """Starts a replica. Raises `UsageError` when it cannot be started."""
        mark = secrets.token_hex(8)
        # a Python program that writes to a file prints in blocks, and what it printed is lost when it is ended
        environment = {"PYTHONUNBUFFERED": "1", **(self._environment or os.environ), MARK: mark}
        for name, value in command.variables.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value
        try:
            with (command.folder / STDOUT).open("wb") as out, (command.folder / STDERR).open("wb") as err:
                process = subprocess.Popen(  # noqa: S603 - the command that the user asked to run
                    list(command.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=environment,
                    cwd=command.cwd,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"cannot start {command.argv[0]}: {reason}", hint="give the command as you would run it in a shell"
            ) from None
        return LocalReplica(process, identify(process.pid), mark, kill=self._kill)


class LocalReplica:
    """A process, and all that it starts."""

    def __init__(
        self, process: subprocess.Popen[bytes], target: Process | None, mark: str, *, kill: bool = False
    ) -> None:
        self._process, self._target, self._mark, self._kill = process, target, mark, kill

    def waiting(self) -> bool:
        """Never: it runs from the start."""
        return False

    def exit_code(self) -> int | None:
        """The exit code, 128 plus the number of a signal; None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def end(self) -> int:
        """Ends it with all that it started, also after it has ended by itself. Returns how many were left behind."""
        if self._kill and self._process.poll() is None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
        if self._process.poll() is None and self._target is not None:
            stop(self._target, kill_timeout_s=GRACE_S)
        left = end_marked(self._mark)
        with suppress(subprocess.TimeoutExpired):  # one that is stuck in the kernel
            self._process.wait(GRACE_S)
        return left
