"""How a replica ended, in words."""

from __future__ import annotations

from pathlib import Path

from rldk.engine.replicas.launch import STDERR, STDOUT, ReplicaEnd
from rldk.engine.replicas.running import ReplicaLimits

_TAIL = 2000


def ending_problem(label: str, end: ReplicaEnd, limits: ReplicaLimits) -> str:
    """Why the numbers of a replica cannot be used; "" where it ended well."""
    match end.how:
        case "late":
            return f"{label} was ended after the time limit of {limits.time_s:g} s"
        case "flooded":
            return f"{label} printed more than {limits.printed >> 20} MiB and was ended"
        case "full":
            return f"{label} was ended because less than {limits.free >> 20} MiB of the disk were free"
        case "large":
            return f"{label} wrote more than {limits.written / (1 << 30):g} GiB into {{out}} and was ended"
        case "stopped":
            return f"{label} was ended on purpose"
        case _:
            return f"{label} ended with exit code {end.code}" if end.code else ""


def last_printed(folder: Path, lines: int = 3) -> str:
    """The last lines on stderr, or else on stdout, of the replica with this folder, as they were printed; "" without
    any."""
    for name in (STDERR, STDOUT):
        try:
            with (folder / name).open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - _TAIL))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            continue
        if found := [line for line in text.splitlines() if line.strip()]:
            return " | ".join(line[:300] for line in found[-lines:])
    return ""
