"""trackio's SQLite file, one a project. Opened for reading only, without leaving anything beside it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rldk.adapters.base import BaseAdapter, Log, adapter
from rldk.adapters.completions import Samples
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.source import File
from rldk.adapters.trl import described, phase_of, whole
from rldk.core.lines import EXCERPT
from rldk.core.records import to_number, to_time
from rldk.errors import UnknownName

MAX_VALUE = 1 << 24  # bytes of one JSON value; a table of 512 long completions has about 4 MB
_MAGIC = b"SQLite format 3\0"
_WAL_MODE = 2  # byte 18 of the header
_GLOBAL_STEP = "train/global_step"
_PROFILE = "profiling/"
_SECRET = ("token", "secret", "password", "key")


@dataclass(slots=True)
class Chosen:
    """The run that is read, as far as it was."""

    id: str
    reading: Reading
    samples: Samples = field(default_factory=Samples)
    profiled: set[str] = field(default_factory=set)
    line: int = 0
    config: dict[str, Any] = field(default_factory=dict)


@adapter
class Trackio(BaseAdapter):
    """The `step` column counts calls of log(); a trainer's step is the key `train/global_step` of the row."""

    name: ClassVar[str] = "trackio"
    describes: ClassVar[str] = "trackio SQLite database"
    quality: ClassVar[int] = 80

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.head.startswith(_MAGIC):
            return 0
        try:
            with _opened(file.path) as db:
                return 95 if {"run_name", "step", "metrics"} <= _columns(db) else 0
        except (sqlite3.Error, OSError):
            return 0

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The ids of the runs in `file`, oldest first. One is read with `Trackio(path, run=ID)`."""
        try:
            with _opened(file.path) as db:
                return [run for run, _ in _runs(db)]
        except (sqlite3.Error, OSError):
            return []

    def read(self) -> Log:
        """The run of the option `run` (an id, or a name: its newest run), else the newest; several are a note."""
        path = only_file(self).path
        run, runs = Chosen(id="", reading=Reading(self)), []
        try:
            with _opened(path) as db:
                runs = _runs(db)
                if runs:
                    run.id = _chosen(runs, self.options.get("run"))
                    _read_run(db, run)
        except (sqlite3.Error, OSError) as error:
            run.reading.reject(run.line + 1, 0, f"the database ends here: {error}")
        if len(runs) > 1:
            run.reading.notes.append(f"{path} holds {len(runs)} runs; this is {run.id}")
        return _log(run)


def _log(run: Chosen) -> Log:
    if run.profiled:
        run.reading.notes.append(f"{len(run.profiled)} profiling timers of TRL were left out")
    total, seed = whole(run.config.get("max_steps")), whole(run.config.get("seed"))
    version = run.config.get("transformers_version")
    meta = {"seed": seed} if seed is not None else {}
    log = run.reading.log(
        total_steps=total if total and total > 0 else whole(run.config.get("num_total_batches")),
        samples=run.samples.table(),
        config=run.config,
        meta=meta | ({"environment": {"transformers": version}} if isinstance(version, str) else {}),
    )
    if "train/epoch" not in log.table.columns:  # logged by hand, not by a trainer
        return log
    return described(log, text=" ".join(sorted(run.profiled)))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write and leaves no file behind. Raises `sqlite3.Error` and `OSError`.

    `mode=ro` creates the index of a write-ahead log when there is none: then a pending log is read from a copy, and
    without one the file is taken as it is (a live writer's log is never empty)."""
    wal, index = path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
    with path.open("rb") as stream:
        in_wal_mode = stream.read(20)[18:19] == bytes([_WAL_MODE])
    pending = in_wal_mode and wal.exists() and wal.stat().st_size > 0
    with ExitStack() as stack:
        if pending and not index.exists():
            db = _copied(path, wal, stack)
        elif in_wal_mode and not pending:
            db = _connect(path, "mode=ro&immutable=1")
        else:
            try:
                db = _connect(path, "mode=ro")
            except sqlite3.OperationalError:  # the index or a hot journal is not ours to write
                db = _copied(path, wal, stack) if pending else _connect(path, "mode=ro&immutable=1")
        stack.callback(db.close)
        yield db


def _copied(path: Path, wal: Path, stack: ExitStack) -> sqlite3.Connection:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rldk-")))
    copy = Path(shutil.copyfile(path, folder / "run.db"))
    shutil.copyfile(wal, folder / "run.db-wal")
    return _connect(copy, "mode=rw")


def _connect(path: Path, how: str) -> sqlite3.Connection:
    """A connection for reading that was tried: SQLite opens a file only when it is first asked something."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=2.0)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        db.execute("PRAGMA query_only=ON")
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA writable_schema=ON")  # without it SQLite refuses a file that is shorter than it should be
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def _columns(db: sqlite3.Connection) -> set[str]:
    """The columns of the table `metrics`; none when it is a view, which could compute without end."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'metrics'").fetchone() is None:
        return set()
    return {row[1] for row in db.execute("PRAGMA table_info(metrics)")}


def _runs(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """(id, name) of every run, oldest first. Before trackio 0.20 a run had only a name."""
    columns = _columns(db)
    if not {"run_name", "step", "metrics"} <= columns:
        return []
    run = "run_id" if "run_id" in columns else "run_name"
    found: dict[str, str] = {}
    with suppress(sqlite3.DatabaseError):  # a cut file: the runs before the cut
        for key, name in db.execute(f"SELECT {run}, run_name FROM metrics ORDER BY rowid"):  # noqa: S608
            if key is not None:
                found[str(key)] = str(name)
    return list(found.items())


def _chosen(runs: list[tuple[str, str]], wanted: str | None) -> str:
    if wanted is None:
        return runs[-1][0]
    found = [key for key, name in runs if wanted in {key, name}]
    if not found:
        raise UnknownName("run", wanted, [name for pair in runs for name in pair])
    return found[-1]


def _read_run(db: sqlite3.Connection, run: Chosen) -> None:
    columns = _columns(db)
    key = "run_id" if "run_id" in columns else "run_name"
    time = "timestamp" if "timestamp" in columns else "NULL"
    run.config = _config(db, key, run.id)
    where = f"FROM metrics WHERE {key} = ?"
    marked = db.execute(f"SELECT 1 {where} AND instr(metrics, ?) LIMIT 1", (run.id, f'"{_GLOBAL_STEP}"')).fetchone()
    guarded = "CASE WHEN length(metrics) <= ? THEN metrics END"
    for step, at, raw in db.execute(f"SELECT step, {time}, {guarded} {where} ORDER BY rowid", (MAX_VALUE, run.id)):
        run.line += 1
        reason = _take(raw, None if marked else step, at, run)
        if reason:
            excerpt = raw[:EXCERPT].decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
            run.reading.reject(run.line, 0, reason, excerpt)


def _take(raw: Any, step: Any, at: Any, run: Chosen) -> str:
    """Takes one logged row; why it was refused, or "". `step` None: the run has a trainer, whose own step counts.

    What a trainer's run logs without its step (completions, timers, the user's own) belongs to the step before it."""
    row = _parsed(raw)
    if row is None:
        return "not a JSON object of at most 16 MB"
    timers = [k for k in row if k.startswith(_PROFILE)]
    run.profiled.update(timers)
    own = {k: v for k, v in row.items() if k not in timers and k != _GLOBAL_STEP}
    _take_tables(own, run.samples)
    at_step = whole(row.get(_GLOBAL_STEP, run.reading.step) if step is None else step)
    if at_step is None:
        return "the step is no whole number"
    values = {k: v for k, stated in own.items() if (v := to_number(stated)) is not None}
    if values:
        run.reading.row(at_step, values, phase=phase_of(values), time=to_time(at))
    return ""


def _take_tables(row: dict[str, Any], samples: Samples) -> None:
    for value in row.values():
        if isinstance(value, dict) and value.get("_type") == "trackio.table" and isinstance(value.get("_value"), list):
            for sample in value["_value"]:
                if isinstance(sample, dict):
                    samples.add(sample)


def _parsed(raw: Any) -> dict[str, Any] | None:
    """A JSON object kept as TEXT or as BLOB."""
    if not isinstance(raw, str | bytes):
        return None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _config(db: sqlite3.Connection, key: str, run: str) -> dict[str, Any]:
    """The run's arguments, without those of trackio itself and without anything named as a secret."""
    try:
        found = db.execute(f"SELECT config FROM configs WHERE {key} = ?", (run,)).fetchone()  # noqa: S608
    except sqlite3.DatabaseError:  # trackio before 0.3 has no such table; or the file is cut
        return {}
    config = _parsed(found[0]) if found else None
    kept = (bool, int, float, str)
    return {
        k: v
        for k, v in (config or {}).items()
        if isinstance(v, kept) and not k.startswith("_") and not k.lower().endswith(_SECRET)
    }
