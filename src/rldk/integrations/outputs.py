"""The files of one training: events, metrics as CSV, alerts, the final report. Each stays whole whatever happens."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.json import Encoder

from rldk.core.appending import AppendedFile
from rldk.core.files import append_whole, whole, write_whole
from rldk.core.model import Alert
from rldk.core.table import Row
from rldk.emit import EventWriter, rank_path
from rldk.integrations.guard import Guard
from rldk.monitor.alert_json import record, text

FIRST_COLUMNS = ("step", "phase", "wall_time")
MAX_REWRITES = 50  # a log with a new name on every row must not rewrite the table every time
MAX_ALERTS = 10_000  # kept for the list of alerts; all are in the JSON lines
CHECK_S = 1.0  # how often the folder is looked for
_encode = Encoder().encode


class RunFiles:
    """The files `{run_id}_*` in one folder, of one rank. Rank 0 alone writes tables, alerts and the report.

    A file or folder that somebody removes is made again, and this is said once. What cannot be written is counted and
    said by `guard.outage`."""

    def __init__(self, folder: Path, run_id: str, guard: Guard, *, rank: int = 0, events: bool = True) -> None:
        self.folder = folder
        self.run_id = run_id
        self.rank = rank
        self.alerts: list[dict[str, Any]] = []
        self._guard = guard
        self._outage = guard.outage
        self._looked = -CHECK_S
        self._events: EventWriter | None = None
        self._wants_events = events
        self._table = GrowingCsv(self.path("metrics.csv"))
        self._lines = AppendedFile(self.path("alerts.jsonl"), guard.outage)
        make = partial(folder.mkdir, parents=True, exist_ok=True)
        guard.run("making the folder", guard.outage.attempt, folder, make, records=0)

    def path(self, name: str, *, rank: int | None = None) -> Path:
        """The file of this run that is called `name`, of this rank or of another one."""
        return rank_path(self.folder / f"{self.run_id}_{name}", self.rank if rank is None else rank)

    def event(self, row: Row, extra: Mapping[str, Any]) -> None:
        """Appends the row to the events."""
        self._look_for_files()
        if self._lines.waiting:
            self._guard.run("writing alerts", self._lines.retry)
        if self._wants_events:
            if self._events is None:
                self._events = EventWriter(self.path("events.jsonl"), run_id=self.run_id, outage=self._outage)
            tags = None if row.phase == "train" else {"phase": row.phase}
            moment = row.time if row.time == row.time else None
            self._events.log(row.values, step=row.step, time=moment, tags=tags, extra=extra)

    def table(self, row: Row) -> None:
        """Appends the row to the table."""
        add = partial(self._table.add, row)
        self._guard.run("writing the table", self._outage.attempt, self._table.path, add, step=row.step)

    def alert(self, alert: Alert) -> dict[str, Any]:
        """Appends the alert to the JSON lines. Returns its document."""
        document = record(alert, monitor=self.run_id, written=time.time())
        if len(self.alerts) < MAX_ALERTS:
            self.alerts.append(document)
        self._guard.run("writing alerts", self._lines.append, text(document))
        return document

    def save(self, name: str, content: str) -> Path:
        """Writes a file of this run whole. Returns its path."""
        path = self.path(name)
        write = partial(write_whole, path, content, parents=True)
        self._guard.run(f"writing {path.name}", self._outage.attempt, path, write, once=True)
        return path

    def close(self) -> None:
        """Closes the events and writes the list of alerts."""
        if self._events is not None:
            self._events.close()
        if self.rank == 0:
            self._lines.close()
            self._guard.run("writing the table", self._table.close)
            self.save("alerts.json", json.dumps(self.alerts, indent=1, allow_nan=False) + "\n")

    def _look_for_files(self) -> None:
        """Opens a file again that has been removed: the old descriptor would write to nowhere."""
        now = time.monotonic()
        if now - self._looked < CHECK_S:
            return
        self._looked = now
        if self._events is not None and self._events.written and self._is_gone(Path(self._events.path)):
            self._events.close()
            self._events = None
        if self._table.is_begun and self._is_gone(self._table.path):
            self._table.forget()
        if self._lines.is_begun and self._is_gone(self._lines.path):
            self._lines.forget()

    def _is_gone(self, path: Path) -> bool:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            if self._outage.attempt(path, partial(path.parent.mkdir, parents=True, exist_ok=True), records=0):
                self._guard.warn("keeping the files", f"{path} was removed; it is made again, and what it held is lost")
            return True
        except OSError:  # it is there, or nobody can tell; who writes to it will see
            return False
        return False


class GrowingCsv:
    """A CSV file that gets a row at a time. A new column makes it be rewritten once, with the new header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._known: set[str] = set()
        self._rewrites = 0
        self._fd = -1

    @property
    def is_begun(self) -> bool:
        """Whether there is a file."""
        return bool(self._columns)

    def add(self, row: Row) -> None:
        """Appends the row; numbers are written in full."""
        new = [name for name in row.values if name not in self._known]
        if new and self._rewrites < MAX_REWRITES:
            self._widen(new)
            new = []
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        append_whole(self._fd, self._line(row, known=not new))

    def _line(self, row: Row, *, known: bool) -> bytes:
        """The row as CSV. Where every number is there and finite, the list is written as JSON does, much quicker.
        `known`: every name has a column."""
        names, values = self._columns[len(FIRST_COLUMNS) :], row.values
        total = sum(values.values()) + row.time
        if known and total - total == 0.0 and len(names) == len(values):
            cells = _encode([values[name] for name in names])[1:-1]
            return b"%d,%s,%s,%s\r\n" % (row.step, row.phase.encode(), _encode(row.time), cells)
        cells_of = {**values, "step": row.step, "phase": row.phase, "wall_time": row.time}
        line = io.StringIO(newline="")
        csv.writer(line).writerow([_cell(cells_of.get(name)) for name in self._columns])
        return line.getvalue().encode("utf-8", "replace")

    def forget(self) -> None:
        """Begins a new file with the next row."""
        with suppress(OSError):  # what a removed file may say when it is closed
            self.close()
        self._columns, self._rewrites = [], 0
        self._known = set()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _widen(self, new: Sequence[str]) -> None:
        self.close()
        first = not self._columns
        wider = [*(self._columns or FIRST_COLUMNS), *new]
        with whole(self.path, parents=True) as part, part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([_safe(name) for name in wider])
            if not first:
                with self.path.open(encoding="utf-8", newline="") as old:
                    rows = csv.reader(old)
                    next(rows, None)
                    writer.writerows([*cells, *[""] * len(new)] for cells in rows)
        self._rewrites += not first
        self._columns, self._known = wider, set(wider)


def _safe(name: str) -> str:
    """A column name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name


def _cell(value: object) -> object:
    return "" if value is None or (isinstance(value, float) and value != value) else value
