"""A training that rldk starts itself: its output, its signals, its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rldk.errors import UsageError

PATIENCE_S = 2.0  # from SIGTERM to SIGKILL, for a command that is abandoned


class Wrapped:
    """A command in its own process group, without a keyboard. Its output is read from `stdout`.

    `variables`: what its environment gets besides ours.

    Raises `UsageError` when it cannot be started."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        # otherwise a Python program that sees a pipe prints in blocks of 8 KiB, minutes late
        environment = {"PYTHONUNBUFFERED": "1", **os.environ, **(variables or {})}
        # reading the keyboard in another group would suspend the command
        keyboard = sys.stdin is not None and sys.stdin.isatty()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command the user asked to run
                list(command),
                stdin=subprocess.DEVNULL if keyboard else None,
                stdout=subprocess.PIPE,
                env=environment,
                process_group=0,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"cannot start {command[0]}: {reason}", hint="write it after --, as you would run it"
            ) from None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdout(self) -> int:
        return self._process.stdout.fileno() if self._process.stdout else -1

    def relay(self, number: int) -> None:
        """Passes a signal on to the whole group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def has_ended(self) -> bool:
        """Whether the command itself has ended; what it started may go on."""
        return self._process.poll() is not None

    def exit_code(self) -> int:
        """Waits for the end of the command. Returns 128 plus the signal's number where a signal ended it."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """Ends what is left of the group: it must not go on unwatched and write into a pipe that nobody reads."""
        if self._process.poll() is None:
            self.relay(signal.SIGTERM)

    def abandon(self) -> None:
        """Ends a command whose output nobody has begun to read, and waits for its end."""
        self.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.relay(signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
