"""Reads trackio's SQLite file; each project has one. The reader writes nothing and leaves no file beside
it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct, field

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.completions import Samples
from rldk.adapters.formats.trl import phase_of, whole, with_identity
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.source import File
from rldk.adapters.wire.sqlite import MAGIC, missing_bytes, open_readonly, table_columns, with_log
from rldk.core.lines import EXCERPT
from rldk.core.records import to_number, to_time
from rldk.errors import UnknownName

if TYPE_CHECKING:
    import sqlite3

MAX_VALUE = 1 << 24  # bytes of one JSON value; a table of 512 long completions has about 4 MB
_GLOBAL_STEP = "train/global_step"
_PROFILE = "profiling/"


class Chosen(Struct):
    """The data read from the chosen run."""

    id: str
    reading: Reading
    samples: Samples = field(default_factory=Samples)
    profiled: set[str] = field(default_factory=set)
    line: int = 0
    config: dict[str, Any] = field(default_factory=dict)


@adapter
class Trackio(BaseAdapter):
    """The `step` column counts calls of log(). The step of a trainer is the key `train/global_step` of the row."""

    name: ClassVar[str] = "trackio"
    describes: ClassVar[str] = "trackio SQLite database"
    quality: ClassVar[int] = 80
    keeps: ClassVar[str] = "every digit, wall time, configuration, seed, completions of every logged step"
    loses: ClassVar[str] = (
        "the closing row (`train_runtime`, `train_loss`, `total_flos`, samples per second); TRL's profiling timers "
        "are left out by rldk"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        import sqlite3

        if not file.head.startswith(MAGIC):
            return 0
        try:
            with open_readonly(file.path) as db:
                return 95 if {"run_name", "step", "metrics"} <= table_columns(db, "metrics") else 0
        except (sqlite3.Error, OSError):
            return 0

    @classmethod
    def parts(cls, path: Path) -> Iterable[Path]:
        return with_log(path)

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The ids of the runs in `file`, oldest first. `Trackio(path, run=ID)` reads one of them."""

        import sqlite3

        try:
            with open_readonly(file.path) as db:
                return [run for run, _ in _runs(db)]
        except (sqlite3.Error, OSError):
            return []

    def read(self) -> Log:
        """The run that the option `run` names, else the newest. A name stands for its newest run. A note mentions other
        runs."""

        import sqlite3

        path = only_file(self).path
        run, runs = Chosen(id="", reading=Reading(self)), []
        try:
            with open_readonly(path) as db:
                runs = _runs(db)
                if runs:
                    run.id = _chosen(runs, self.options.get("run"))
                    _read_run(db, run)
            if lost := missing_bytes(path):
                run.reading.reject(run.line + 1, 0, f"the database is cut off: {lost:,} bytes are missing")
        except (sqlite3.Error, OSError) as error:
            run.reading.reject(run.line + 1, 0, f"the database ends here: {error}")
        if len(runs) > 1:
            run.reading.notes.append(f"{path} holds {len(runs)} runs; rldk read {run.id}")
        return _log(run)


def _log(run: Chosen) -> Log:
    if run.profiled:
        run.reading.notes.append(f"rldk left out {len(run.profiled)} profiling timers of TRL")
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
    return with_identity(log, text=" ".join(sorted(run.profiled)))


def _runs(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """(id, name) of every run, oldest first. Before trackio 0.20 a run had only a name."""

    import sqlite3

    columns = table_columns(db, "metrics")
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
    columns = table_columns(db, "metrics")
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
    """Takes one logged row. Returns the reason when the row is refused, else "". A `step` of None means that the run
    has a trainer, whose own step counts.

    Rows without the trainer's step (completions, timers, the user's own) belong to the step before them."""
    row = _parsed(raw)
    if row is None:
        return "the row is not a JSON object of at most 16 MB"
    timers = [k for k in row if k.startswith(_PROFILE)]
    run.profiled.update(timers)
    own = {k: v for k, v in row.items() if k not in timers and k != _GLOBAL_STEP}
    _take_tables(own, run.samples)
    at_step = whole(row.get(_GLOBAL_STEP, run.reading.step) if step is None else step)
    if at_step is None:
        return "the step is not a whole number"
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
    """The JSON object in a TEXT or BLOB value."""
    if not isinstance(raw, str | bytes):
        return None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _config(db: sqlite3.Connection, key: str, run: str) -> dict[str, Any]:
    """The run's arguments, without those of trackio itself."""

    import sqlite3

    try:
        found = db.execute(f"SELECT config FROM configs WHERE {key} = ?", (run,)).fetchone()  # noqa: S608
    except sqlite3.DatabaseError:  # trackio before 0.3 has no such table; or the file is cut
        return {}
    config = _parsed(found[0]) if found else None
    kept = (bool, int, float, str)
    return {k: v for k, v in (config or {}).items() if isinstance(v, kept) and not k.startswith("_")}
