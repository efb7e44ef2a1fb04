"""Reads MLflow's local stores: the file store (`mlruns/<experiment>/<run>/`) and the SQLite database (`mlflow.db`).

The layouts come from mlflow/store/tracking/file_store.py and mlflow/store/tracking/dbmodels/models.py, checked against
stores of MLflow 3.17.
"""

from __future__ import annotations

import math
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import literal, with_identity
from rldk.adapters.log import Log
from rldk.adapters.reading import check_strict, only_file
from rldk.adapters.source import File
from rldk.adapters.wire.scalars import Scalars
from rldk.adapters.wire.sqlite import MAGIC, missing_bytes, open_readonly, table_columns, with_log
from rldk.core.jsonl import KEPT_REJECTS
from rldk.core.lines import LineSplitter
from rldk.core.model import Rejected
from rldk.core.records import to_number
from rldk.core.stream import BrokenStream, chunks
from rldk.core.text import later
from rldk.errors import NoData, RldkError, UnknownName

if TYPE_CHECKING:
    import sqlite3

_GIT_TAG = "mlflow.source.git.commit"
SYSTEM = "system/"  # metrics about the machine, which have a clock of their own
_SQL_INFINITY = 1.7976931348623157e308  # what the SQL store writes for an infinity
_MAX_TEXT, _MAX_FILES = 64 * 1024, 20_000
_RUN_ID = later(rb"^run_(?:uu)?id: *['\"]?([0-9A-Za-z_-]+)", re.M)
_INTEGER = later(r"-?[0-9]{1,19}")
_METRIC_COLUMNS = {"key", "value", "timestamp", "run_uuid"}


class Store:
    """Everything read from one run."""

    def __init__(self) -> None:
        self.scalars = Scalars()
        self.config: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self.lines = 0
        self.rejected_count = 0
        self.rejected: list[Rejected] = []
        self._system = 0

    def point(self, key: str, step: int, value: float, time_ms: float) -> None:
        self.lines += 1
        if key.startswith(SYSTEM):
            self._system += 1
        else:
            self.scalars.add(self.scalars.tag_id(key), step, value, time_ms / 1000)

    def reject(self, line: int, offset: int, reason: str) -> None:
        self.lines += 1
        self.rejected_count += 1
        if len(self.rejected) < KEPT_REJECTS:
            self.rejected.append(Rejected(line=line, offset=offset, reason=reason))

    def tag(self, key: str, value: str) -> None:
        if key == _GIT_TAG:
            self.meta["git_sha"] = value

    def log(self, source: str, notes: tuple[str, ...] = ()) -> Log:
        if not len(self.scalars):
            why = f": {self.rejected[0].reason}" if self.rejected else ""
            raise NoData(f"{source} has no metrics{why}", hint="check that the run has logged something")
        if self._system:
            notes += (f"rldk left out {self._system} values about the machine ({SYSTEM}*)",)
        if _count_where_steps_are_missing(self.scalars):
            notes += ("no value has a step: rldk numbered the values in the order they were logged",)
        log = Log(
            table=self.scalars.table(),
            config=self.config,
            meta=self.meta,
            lines=self.lines,
            rejected_count=self.rejected_count,
            rejected=tuple(self.rejected),
        )
        return with_identity(replace(log, notes=notes + self.scalars.notes()))


def _count_where_steps_are_missing(scalars: Scalars) -> bool:
    """Numbers the values of every metric when all of them have the same step: `log_metric` without a step writes 0."""
    if len(scalars) == len(scalars.tags) or min(scalars.step) != max(scalars.step):
        return False
    counts = [0] * len(scalars.tags)
    steps = array("q")
    for tag in scalars.tag:
        steps.append(counts[tag])
        counts[tag] += 1
    scalars.step = steps
    return True


@adapter
class MLflowFileStore(BaseAdapter):
    name = "mlflow-file"
    describes = "MLflow file store (meta.yaml of a run)"
    quality = 80
    keeps: ClassVar[str] = "every digit, wall time, parameters, stated NaN"
    loses: ClassVar[str] = (
        "earlier values where one metric has several at one step; steps where none was given; metrics about the "
        "machine (`system/*`) are left out by rldk"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        head = file.head
        return 90 if file.is_text and _RUN_ID.search(head) and re.search(rb"^artifact_uri:", head, re.M) else 0

    @classmethod
    def parts(cls, path: Path) -> Iterable[Path]:
        kept = (part for name in ("metrics", "params", "tags") for _, part in _files(path.parent / name))
        return (path, *kept)

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The id of the run whose meta.yaml this is."""
        found = _RUN_ID.search(file.head)
        return [found[1].decode()] if found else []

    def read(self) -> Log:
        """The run; when there are several, the option `run` chooses."""
        wanted = self.options.get("run")
        known = {run: file for file in self.files for run in self.runs(file)}
        if wanted is not None and wanted not in known:
            raise UnknownName("run", str(wanted), known)
        file = known[wanted] if wanted is not None else only_file(self)
        folder, store = file.path.parent, Store()
        store.meta["environment"] = _stated(file)
        metrics = list(_files(folder / "metrics"))
        for key, path in metrics:
            _read_metric(key, path, store)
        store.scalars.sort_by_time()
        store.config = {key: literal(_text(path)) for key, path in _files(folder / "params")}
        for key, path in _files(folder / "tags"):
            store.tag(key, _text(path))
        store.meta["files"] = (str(file.path), *(str(path) for _, path in metrics))
        return check_strict(store.log(self.source), self)


def _stated(file: File) -> dict[str, Any]:
    """The facts that meta.yaml states about the run, without the user's name."""
    import yaml

    try:
        meta = yaml.safe_load(file.head.decode("utf-8", "replace"))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    wanted = {"run_id": "mlflow_run", "run_name": "mlflow_name", "experiment_id": "mlflow_experiment"}
    if not isinstance(meta, dict):
        return {}
    return {name: str(meta[key]) for key, name in wanted.items() if isinstance(meta.get(key), str | int)}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The key and path of each file below a folder of the store. A key may have slashes; links are not followed."""
    seen = 0
    for base, subfolders, names in os.walk(folder):
        subfolders.sort()
        for name in sorted(names):
            path = Path(base, name)
            if path.is_symlink() or not path.is_file():
                continue
            if (seen := seen + 1) > _MAX_FILES:
                return
            yield path.relative_to(folder).as_posix(), path


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_TEXT).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _read_metric(key: str, path: Path, store: Store) -> None:
    """Reads the lines `timestamp value step [dataset digest]` of one metric; the oldest stores have no step."""
    splitter = LineSplitter()
    try:
        for data in chunks(path):
            got = splitter.feed(data)
            offset = got.offset
            for number, line in enumerate(got.lines, got.number):
                if not _take_line(key, line, store):
                    store.reject(number, offset, f"{key}: the line is not `timestamp value step`")
                offset += len(line) + 1
    except (BrokenStream, RldkError) as error:
        store.reject(0, 0, f"{key}: {error}")
    rest = splitter.finish()
    if rest.lines:
        store.reject(rest.number, rest.offset, f"{key}: the last line is cut off")


def _take_line(key: str, line: bytes, store: Store) -> bool:
    parts = line.decode("ascii", "replace").split()
    if len(parts) not in (2, 3, 5):
        return False
    time, value = to_number(parts[0]), to_number(parts[1])
    if time is None or value is None or (len(parts) > 2 and not _INTEGER.fullmatch(parts[2])):
        return False
    store.point(key, int(parts[2]) if len(parts) > 2 else 0, value, time)
    return True


@adapter
class MLflowDatabase(BaseAdapter):
    name = "mlflow-sqlite"
    describes = "MLflow SQLite database (mlflow.db)"
    quality = 80
    keeps: ClassVar[str] = "every digit, wall time, parameters, stated NaN"
    loses: ClassVar[str] = (
        "earlier values where one metric has several at one step; steps where none was given; metrics about the "
        "machine (`system/*`) are left out by rldk"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        """Asks the database itself: its schema may stand anywhere in the file."""

        import sqlite3

        if not file.head.startswith(MAGIC):
            return 0
        try:
            with open_readonly(file.path) as db:
                return 95 if table_columns(db, "metrics") >= _METRIC_COLUMNS else 0
        except (sqlite3.Error, OSError):
            return 0

    @classmethod
    def parts(cls, path: Path) -> Iterable[Path]:
        return with_log(path)

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The ids of the runs that logged a metric, oldest first. The option `run` chooses one."""

        import sqlite3

        try:
            with open_readonly(file.path) as db:
                return _runs(db)
        except (sqlite3.Error, OSError):
            return []

    def read(self) -> Log:
        """The run that the option `run` names, else the newest. A note mentions other runs."""

        import sqlite3

        store, runs, run = Store(), [], ""
        try:
            with open_readonly(only_file(self).path) as db:
                runs = _runs(db)
                run = self.options.get("run") or (runs[-1] if runs else "")
                if runs and run not in runs:
                    raise UnknownName("run", str(run), runs)
                _read_tables(db, run, store)
            if lost := missing_bytes(only_file(self).path):
                store.reject(store.lines + 1, 0, f"the database is cut off: {lost:,} bytes are missing")
        except (sqlite3.Error, OSError) as error:
            store.reject(store.lines + 1, 0, f"the database ends here: {error}")
        notes = (f"holds {len(runs)} runs; rldk read {run}",) if len(runs) > 1 else ()
        store.scalars.sort_by_time()
        return check_strict(store.log(self.source, notes), self)


def _runs(db: sqlite3.Connection) -> list[str]:
    """The ids of the runs with metrics, ordered by the time of their first metric. In a damaged file, only runs before
    the damage count."""

    import sqlite3

    if not table_columns(db, "metrics") >= _METRIC_COLUMNS:
        return []
    first: dict[str, float] = {}
    query = "SELECT run_uuid, CAST(min(timestamp) AS REAL) FROM metrics GROUP BY run_uuid"
    try:
        first = {str(run): time or 0.0 for run, time in db.execute(query)}
    except sqlite3.DatabaseError:
        with suppress(sqlite3.DatabaseError):
            for run, time in db.execute("SELECT run_uuid, CAST(timestamp AS REAL) FROM metrics NOT INDEXED"):
                first.setdefault(str(run), time or 0.0)
    return sorted(first, key=lambda run: (first[run], run))


def _read_tables(db: sqlite3.Connection, run: str, store: Store) -> None:
    if table_columns(db, "params") >= {"key", "value", "run_uuid"}:
        store.config = {key: literal(value) for key, value in _pairs(db, "params", run)}
    if table_columns(db, "tags") >= {"key", "value", "run_uuid"}:
        for key, value in _pairs(db, "tags", run):
            store.tag(key, value)
    store.meta["environment"] = {"mlflow_run": run}
    known = table_columns(db, "metrics")
    if not known >= _METRIC_COLUMNS:
        return
    step, is_nan = (name if name in known else "0" for name in ("step", "is_nan"))
    rows = db.execute(
        f"SELECT substr(key, 1, 300), CASE WHEN typeof(value) IN ('integer', 'real') THEN value END, "  # noqa: S608
        f"CAST(timestamp AS REAL), CAST({step} AS INTEGER), {is_nan} = 1 "
        "FROM metrics NOT INDEXED WHERE run_uuid = ?",  # unsorted, so that rows before a damaged place are not lost
        (run,),
    )
    for key, value, time, at, nan in rows:
        if value is None and not nan:
            store.reject(store.lines + 1, 0, f"{key}: the value is not a number")
        else:
            store.point(str(key), at or 0, math.nan if nan else restore_infinity(float(value)), time or 0.0)


def _pairs(db: sqlite3.Connection, table: str, run: str) -> Iterator[tuple[str, str]]:
    query = f"SELECT substr(key, 1, 300), substr(value, 1, {_MAX_TEXT}) FROM {table} WHERE run_uuid = ?"  # noqa: S608
    for key, value in db.execute(query, (run,)):
        yield str(key), str(value)


def restore_infinity(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) >= _SQL_INFINITY else value
