"""Opens the SQLite files of other programs for reading only, and leaves nothing beside them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

MAGIC = b"SQLite format 3\0"
_WAL_MODE = 2  # byte 18 of the header


@contextmanager
def open_readonly(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write and leaves no file behind. Raises `sqlite3.Error` and `OSError`.

    `mode=ro` would create a missing index of a write-ahead log. So a pending log is read from a copy, and without a
    log the file is read as it is (the log of a live writer is never empty)."""
    import sqlite3

    _, wal = with_log(path)
    index = path.with_name(path.name + "-shm")
    with path.open("rb") as stream:
        in_wal_mode = stream.read(20)[18:19] == bytes([_WAL_MODE])
    pending = in_wal_mode and wal.exists() and wal.stat().st_size > 0
    with ExitStack() as stack:
        if not pending and missing_bytes(path):
            db = _connect(_cut_to_pages(path, stack), "mode=ro&immutable=1")
        elif pending and not index.exists():
            db = _copied(path, wal, stack)
        elif in_wal_mode and not pending:
            db = _connect(path, "mode=ro&immutable=1")
        else:
            try:
                db = _connect(path, "mode=ro")
            except sqlite3.OperationalError as error:  # the index or a hot journal is not ours to write
                if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:  # in its present state it may mix two states
                    raise
                db = _copied(path, wal, stack) if pending else _connect(path, "mode=ro&immutable=1")
        stack.callback(db.close)
        yield db


def with_log(path: Path) -> tuple[Path, Path]:
    """The file and its write-ahead log, which may not exist."""
    return path, path.with_name(path.name + "-wal")


def missing_bytes(path: Path) -> int:
    """The number of bytes that a cut file lacks according to its header. SQLite itself may ignore this silently."""
    with path.open("rb") as stream:
        header = stream.read(100)
    counted = header[24:28] == header[92:96]  # else an old writer did not keep the count of pages
    promised = _page_size(header) * int.from_bytes(header[28:32], "big") if counted else 0
    return max(0, promised - path.stat().st_size)


def _page_size(header: bytes) -> int:
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size


def _cut_to_pages(path: Path, stack: ExitStack) -> Path:
    """A copy without the torn last page. SQLite would fill that page with zeros and read values that nobody wrote."""
    copy = Path(shutil.copyfile(path, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rldk-")), "run.db")))
    with copy.open("r+b") as stream:
        page = max(512, _page_size(stream.read(100)))
        stream.truncate(copy.stat().st_size // page * page)
    return copy


def table_columns(db: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table; empty when it is absent or a view, which could compute without end."""
    found = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return {row[0] for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,))} if found else set()


def _copied(path: Path, wal: Path, stack: ExitStack) -> sqlite3.Connection:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rldk-")))
    copy = Path(shutil.copyfile(path, folder / "run.db"))
    shutil.copyfile(wal, folder / "run.db-wal")
    return _connect(copy, "mode=rw")


def _connect(path: Path, how: str) -> sqlite3.Connection:
    """A tested connection for reading: SQLite opens a file only at the first query."""
    import sqlite3

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
