"""The directory that `rldk run` leaves: what the command printed, the alerts, the reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from rldk.core.manifest import Manifest, continued, read_manifest, this_process, timestamp, write_manifest
from rldk.core.rundir import RunDirectory
from rldk.errors import InputError, OutputError, UsageError
from rldk.provenance.capture import with_origin

SHELF = Path("runs")
MOST = 1000  # directories of one name


def run_directory(named: Path | None, command: Sequence[str], now: datetime) -> RunDirectory:
    """The directory that the user named; it is made if needed. Otherwise a new one named after the command and the
    time.

    Raises `UsageError` when it cannot be made."""
    try:
        if named is not None:
            named.mkdir(parents=True, exist_ok=True)
            return RunDirectory(named)
        SHELF.mkdir(exist_ok=True)
        name = f"{_title(command)}-{now:%Y%m%d-%H%M%S}"
        for number in range(1, MOST + 1):
            path = SHELF / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                path.mkdir()
                return RunDirectory(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot make the run directory: {reason}", hint="name another with --run-dir") from None
    raise UsageError(f"{MOST} run directories are called {name}", hint="name another with --run-dir")


def begin(left: RunDirectory, command: Sequence[str]) -> Manifest:
    """Writes the manifest of a command that runs now. Raises `InputError` for one that is there and cannot be read,
    and `OutputError`."""
    begun = Manifest(
        run_id=left.path.absolute().name,
        status="running",
        started_at=timestamp(),
        process=this_process(),
    )
    manifest = with_origin(continued(begun, read_manifest(left.path)), command, keep_in=left.path)
    _save(left, manifest)
    return manifest


def end(left: RunDirectory, begun: Manifest, exit_code: int) -> None:
    """Writes how the command ended, unless it has made the manifest its own meanwhile. Raises `OutputError`."""
    try:
        now = read_manifest(left.path)
    except InputError:
        return
    if now is not None and now.process == begun.process:
        status: Literal["finished", "crashed"] = "crashed" if exit_code else "finished"
        _save(left, replace(now, status=status, finished_at=timestamp(), exit_code=exit_code))


def _save(left: RunDirectory, manifest: Manifest) -> None:
    try:
        write_manifest(left.path, manifest)
    except OSError as error:
        raise OutputError.of(left.manifest, error) from None


def _title(command: Sequence[str]) -> str:
    """The name of the script, of the module of `-m`, or of the program."""
    words = list(command)
    module = words[words.index("-m") + 1 : words.index("-m") + 2] if "-m" in words else []
    script = next((word for word in words if word.endswith((".py", ".sh"))), "")
    title = Path(script).stem or "".join(module) or Path(words[0]).name
    return re.sub(r"[^\w.-]+", "-", title)[:60].strip("-.") or "run"
