"""The directory that `rldk run` leaves: what the command printed, the alerts, the reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rldk.core.rundir import RunDirectory
from rldk.errors import UsageError

SHELF = Path("runs")
MOST = 1000  # directories of one name


def run_directory(named: Path | None, command: Sequence[str], now: datetime) -> RunDirectory:
    """The directory the user named, made if need be; else a new one named after the command and the time.

    Raises `UsageError` when it cannot be made."""
    try:
        if named is not None:
            named.mkdir(parents=True, exist_ok=True)
            return RunDirectory(named)
        SHELF.mkdir(exist_ok=True)
        name = f"{_title(command)}-{now:%Y%m%d-%H%M%S}"
        for number in range(1, MOST):
            path = SHELF / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                path.mkdir()
                return RunDirectory(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot make the run directory: {reason}", hint="name another with --run-dir") from None
    raise UsageError(f"{MOST} run directories are called {name}", hint="name another with --run-dir")


def _title(command: Sequence[str]) -> str:
    """The script, the module of `-m`, or the program."""
    words = list(command)
    module = words[words.index("-m") + 1 : words.index("-m") + 2] if "-m" in words else []
    script = next((word for word in words if word.endswith((".py", ".sh"))), "")
    title = Path(script).stem or "".join(module) or Path(words[0]).name
    return re.sub(r"[^\w.-]+", "-", title)[:60].strip("-.") or "run"
