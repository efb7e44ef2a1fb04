"""A replica on another machine that shares the folder: files in it say when it began and how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from rldk.core.files import write_whole
from rldk.engine.replicas.launch import ReplicaCommand
from rldk.engine.replicas.launchers.local import GRACE_S, LocalLauncher
from rldk.errors import UsageError

PLACE = "launcher"  # the folder of these files, in that of the replica
BEGAN, ENDED, STOP = "began", "ended.json", "stop"
EACH_S = 0.25  # between two looks at a folder that may be on a network
PATIENCE_S = 2 * GRACE_S + 10.0  # for a replica that was asked to end
LOST = 255  # the exit code where a machine or a scheduler gave the replica up
# what a scheduler says on the machine of the replica counts there; everything else is as where the check was started
SCHEDULED = ("SLURM_", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


class ReplicaElsewhere(Struct, frozen=True, kw_only=True):
    """How a replica ended on its machine. `problem`: why it could not be started, "" where it could."""

    code: int | None = None
    left: int = 0
    problem: str = ""


def run_here(command: ReplicaCommand, environment: Mapping[str, str], scheduled: tuple[str, ...] = SCHEDULED) -> None:
    """Runs a replica on the machine that a scheduler chose, until it ends or its end is asked for.

    `environment`: the variables where the check was started. `scheduled`: beginnings of the names of variables that are
    taken from this machine instead."""
    place = command.folder / PLACE
    here = {name: value for name, value in os.environ.items() if name.startswith(scheduled)}
    there = {name: value for name, value in environment.items() if not name.startswith(scheduled)}
    try:
        replica = LocalLauncher(environment={**there, **here}).start(command)
    except UsageError as error:
        _write(place, ReplicaElsewhere(problem=error.message))
        return
    write_whole(place / BEGAN, "")
    left = 0
    try:
        while (code := replica.exit_code()) is None and not (place / STOP).exists():
            time.sleep(EACH_S)
    finally:
        left = replica.end()
    _write(place, ReplicaElsewhere(code=code, left=left))


def _write(place: Path, end: ReplicaElsewhere) -> None:
    write_whole(place / ENDED, msgspec.json.encode(end))


class RemoteReplica:
    """The handle of such a replica.

    `given_up`: says whether the scheduler has ended its job. `cancel`: ends the job."""

    def __init__(
        self, command: ReplicaCommand, given_up: Callable[[], bool], cancel: Callable[[], object], name: str
    ) -> None:
        self._command, self._given_up, self._cancel, self._name = command, given_up, cancel, name
        self._place = command.folder / PLACE
        self._due = 0.0
        self._end: ReplicaElsewhere | None = None

    def waiting(self) -> bool:
        """Whether its job does not run yet."""
        return not (self._place / BEGAN).exists()

    def exit_code(self) -> int | None:
        """The exit code; `LOST` where its job ended without one. Raises `UsageError` where it could not be started."""
        if self._end is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + EACH_S
            gone = self._given_up()  # asked first: what it wrote before its end is then there
            self._end = self._read()
            if self._end is None and gone:
                self._end = self._late() or ReplicaElsewhere(code=LOST)
        if self._end is not None and self._end.problem:
            hint = f"the command is started by {self._name}, on another machine: it must be there, too"
            raise UsageError(self._end.problem, hint=hint)
        return self._end.code if self._end is not None else None

    def end(self) -> int:
        """Ends it with all that it started, and its job. Returns how many processes were left behind."""
        if self._end is None:
            with suppress(OSError):
                write_whole(self._place / STOP, "")
            deadline = time.monotonic() + (0.0 if self.waiting() else PATIENCE_S)
            while (found := self._read()) is None and time.monotonic() < deadline and not self._given_up():
                time.sleep(EACH_S)
            self._end = found or self._read()
        if self._end is not None:  # a job that has written this is about to end by itself
            deadline = time.monotonic() + GRACE_S
            while not self._given_up() and time.monotonic() < deadline:
                time.sleep(EACH_S)
        self._cancel()
        return self._end.left if self._end is not None else 0

    def _late(self) -> ReplicaElsewhere | None:
        """How it ended, where a network shows a file later than the scheduler does the end."""
        deadline = time.monotonic() + 2.0
        while (found := self._read()) is None and time.monotonic() < deadline:
            time.sleep(EACH_S)
        return found

    def _read(self) -> ReplicaElsewhere | None:
        try:
            return msgspec.json.decode((self._place / ENDED).read_bytes(), type=ReplicaElsewhere)
        except (OSError, msgspec.DecodeError):
            return None


def remote_place(command: ReplicaCommand) -> Path:
    """Makes the folder of these files. Raises `UsageError` when it cannot be made."""
    place = command.folder / PLACE
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {place}: {error.strerror}", hint="give another --output-dir") from None
    return place
