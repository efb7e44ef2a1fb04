"""The rows of the other processes of a training, from the files that each of them writes into a shared folder."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 20  # read of one file at one time; the oldest rows are skipped
MOST_RANKS = 4096
PACE = "step_time"  # what tells which process is slow
_RANK = re.compile(r"\.rank(\d{1,6})\.jsonl$")


class NodeRows:
    """The newest row of each process. Files are followed, so that each line is read once."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._read: dict[Path, int] = {}
        self.newest: dict[int, tuple[int, dict[str, float]]] = {}

    def poll(self) -> None:
        """Reads what has been added."""
        try:
            # a run id may hold characters that a pattern would take for its own
            names = [p for p in self._folder.iterdir() if p.name.startswith(f"{self._run_id}_events.rank")]
        except OSError:
            return
        for path in sorted(names)[:MOST_RANKS]:
            found = _RANK.search(path.name)
            if found:
                with suppress(OSError):
                    self._poll_file(path, int(found[1]))

    def merged(self, step: int, own: Mapping[str, float]) -> dict[str, float]:
        """The means and maxima over all processes of what each measured, how far the slowest is behind in steps, and
        how slow it is against the median. `own`: the row of this process, rank 0. {} without others."""
        if not self.newest:
            return {}
        rows = {0: (step, dict(own)), **self.newest}
        found = {
            "nodes/count": float(len(rows)),
            "nodes/lag_steps": float(max(0, step - min(s for s, _ in rows.values()))),
        }
        shared = set.intersection(*(set(values) for _, values in rows.values()))
        for name in sorted(shared):
            values = [row[name] for _, row in rows.values() if math.isfinite(row[name])]
            if values:
                found |= {f"nodes/{name}/mean": statistics.mean(values), f"nodes/{name}/max": max(values)}
        return found | self._straggler(rows)

    def _straggler(self, rows: Mapping[int, tuple[int, Mapping[str, float]]]) -> dict[str, float]:
        times = {rank: values[PACE] for rank, (_, values) in rows.items() if PACE in values}
        if len(times) < len(rows):
            return {}
        slowest = max(times, key=lambda rank: times[rank])
        median = statistics.median(times.values())
        found = {"nodes/slowest_rank": float(slowest)}
        return {**found, "nodes/straggler_ratio": times[slowest] / median} if median > 0 else found

    def _poll_file(self, path: Path, rank: int) -> None:
        size, at = path.stat().st_size, self._read.get(path, 0)
        at = 0 if size < at else at  # the file was begun again
        with path.open("rb") as stream:
            stream.seek(max(at, size - MOST_BYTES))
            data = stream.read(MOST_BYTES)
            whole = data.rfind(b"\n") + 1  # the last line may be in the making
            self._read[path] = stream.tell() - len(data) + whole
        for line in data[:whole].splitlines():
            row = _row(line)
            if row is not None:
                self.newest[rank] = row


def _row(line: bytes) -> tuple[int, dict[str, float]] | None:
    """The step and the numbers of an event; None for a line that is none."""
    try:
        found: Any = json.loads(line)
        values = {str(k): float(v) for k, v in found["metrics"].items() if isinstance(v, int | float)}
        return int(found["step"]), values
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None
