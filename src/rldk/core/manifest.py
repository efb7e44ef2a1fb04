"""The manifest of a run directory, `run.json`. It is written at once or not at all, and read with mistrust."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rldk.core.files import write_whole

NAME = "run.json"
METRICS = "metrics.jsonl"
MAX_BYTES = 8 << 20
Status = Literal["running", "finished", "crashed", "unknown"]


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The object in `folder/run.json`. None when the file is missing or is not one that a run would write."""
    path = folder / NAME
    try:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_BYTES:
            return None
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and data else None


def write_manifest(folder: Path, data: Mapping[str, Any]) -> None:
    """Replaces `folder/run.json`. A crash leaves the old file or the new one, whole. Raises `OSError`."""
    write_whole(folder / NAME, json.dumps(data, indent=2, allow_nan=False), durable=True)


def status_of(manifest: Mapping[str, Any]) -> Status:
    """The state of a run. A run that says it is running has crashed when its process is gone from this machine.

    A run of another machine is believed. So is a run whose pid now belongs to another process."""
    match manifest:
        case {"status": "finished"}:
            return "finished"
        case {"status": "crashed"}:
            return "crashed"
        case {"status": "running", "process": {"host": host, "pid": pid}}:
            return "crashed" if host == platform.node() and not _alive(pid) else "running"
        case _:
            return "unknown"


def _alive(pid: object) -> bool:
    if type(pid) is not int or not 0 < pid < 1 << 31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # the process belongs to another user
    return True
