"""The three calls that write a run: `rldk.init(...)`, `rldk.log({...}, step=)`, `rldk.finish()`.

A run directory holds `run.json` (see `core.manifest`) and `metrics.jsonl` (see `emit`). Runs go to `RLDK_DIR`, by
default `./runs`. With `RLDK_MODE=disabled` nothing is written. A run that ends without `finish` is marked crashed."""

from __future__ import annotations

import atexit
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from msgspec.structs import replace

from rldk.core.catalogue import last_step
from rldk.core.manifest import Manifest, continued, read_manifest, this_process, timestamp
from rldk.core.rundir import RunDirectory
from rldk.emit import EventWriter, launch_rank, rank_path
from rldk.errors import UnknownName, UnreadableSource, UsageError
from rldk.outage import to_stderr
from rldk.provenance.capture import with_origin
from rldk.tracking.config import plain_config
from rldk.tracking.folders import new_folder, shelf, word
from rldk.tracking.record import RunRecord

MODES = ("on", "disabled")
_current: list[Session] = []


class Session:
    """A run that is being written. `dir` is its directory, None when nothing is written. `id` is its name in
    reports."""

    def __init__(
        self, folder: Path | None, record: RunRecord | None, writer: EventWriter | None, *, by_init: bool = True
    ) -> None:
        self.dir = folder
        self.id = (record and record.manifest.run_id) or ""
        self.record = record
        self.by_init = by_init
        self.at_end: list[Callable[[str], None]] = []  # called with the status after the last save
        self._writer = writer
        before = None if writer is None else last_step(Path(writer.path))
        self._next = 0 if before is None else before + 1
        self._open = True
        if record is not None:
            record.begin()
            atexit.register(self._left)

    @property
    def is_open(self) -> bool:
        return self._open

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> int:
        """Writes the metrics of one step, and returns its number. Without `step` it is one after the last. Values are
        those that `EventWriter.log` takes."""
        if not self._open:
            raise UsageError(f"the run {self.id} is finished", hint="call rldk.init() for the next one")
        at = self._next if step is None else step
        if self._writer is not None:
            self._writer.log(metrics, step=at)
        # a value that is no number was already reported by the writer
        with suppress(TypeError, ValueError, OverflowError):
            self._next = int(at) + 1
        return at

    def finish(self) -> None:
        """Closes the run and marks it finished. Later calls do nothing."""
        self._end("finished")

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fine = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
        self._end("finished" if fine else "crashed", None if fine else error)

    def _left(self) -> None:
        """Called when the interpreter ends without `finish`. An uncaught exception is the reason, if there is one."""
        self._end("crashed", getattr(sys, "last_value", None))

    def _end(self, status: Literal["finished", "crashed"], error: BaseException | None = None) -> None:
        if not self._open:
            return
        self._open = False
        atexit.unregister(self._left)
        if self in _current:
            _current.remove(self)
        if self._writer is not None:
            self._writer.close()
        if self.record is None or not self.record.is_ours:  # a forked child that ends is not the end of the run
            return
        self.record.change(
            lambda manifest: replace(
                manifest,
                status=status,
                finished_at=timestamp(),
                records=self._writer.written if self._writer else None,
                records_lost=self._writer.lost if self._writer else None,
                error=None if error is None else type(error).__name__,
            ),
            room=0,
        )
        for action in self.at_end:
            action(status)


def init(
    run_dir: str | os.PathLike[str] | None = None,
    *,
    project: str | None = None,
    name: str | None = None,
    config: Any = None,
) -> Session:
    """The run that `log` and `finish` write to from now on. A run that is still open is finished first.

    `run_dir`: its directory; one that holds a run is continued. By default it is a new one, `$RLDK_DIR/project/name`.
    `config`: a mapping, a dataclass or an argparse namespace; values of keys such as `api_key` are not written. In a
    distributed run, rank 0 writes the manifest. The other ranks only write `metrics.rank3.jsonl` and the like, and only
    when `run_dir` is given. Raises `UnreadableSource` when the directory cannot be written."""
    said = mode()
    for left in [*_current]:
        if left.by_init:
            left.finish()
    session = Session(None, None, None) if said == "disabled" else _started(run_dir, project, name, config)
    make_current(session)
    return session


def log(metrics: Mapping[str, Any], *, step: int | None = None) -> None:
    """Writes the metrics of one step of the current run. Without `step` it is one after the last."""
    _the_current().log(metrics, step=step)


def current_folder() -> Path | None:
    """The directory of the current run; None when no run is open, or when it writes nothing."""
    return _current[-1].dir if _current else None


def finish() -> None:
    """Closes the current run and marks it finished."""
    _the_current().finish()


def mode() -> str:
    """Whether runs are written, as `$RLDK_MODE` says: "on" or "disabled". Raises `UnknownName`."""
    said = os.environ.get("RLDK_MODE") or "on"
    if said not in MODES:
        raise UnknownName("RLDK_MODE", said, MODES)
    return said


def make_current(session: Session) -> None:
    """Lets `log` and `finish` write to this run, until it ends."""
    _current.append(session)


def _the_current() -> Session:
    if not _current:
        raise UsageError("no run is open", hint="call rldk.init() first")
    return _current[-1]


def _started(run_dir: str | os.PathLike[str] | None, project: str | None, name: str | None, config: Any) -> Session:
    rank = launch_rank()
    if rank and run_dir is None:
        to_stderr(f"rldk: rank {rank} writes nothing: the ranks of a run share it only through run_dir")
        return Session(None, None, None)
    folder = Path("?")
    try:
        folder = _new_folder(project, name) if run_dir is None else Path(run_dir)
        folder.mkdir(parents=True, exist_ok=True)
        record = None if rank else RunRecord(folder, _manifest(folder, project, name, config))
        writer = EventWriter(
            rank_path(RunDirectory(folder).metrics, rank),
            run_id=(record and record.manifest.run_id) or folder.name,
            outage=record.outage if record else None,
        )
        return Session(folder, record, writer)
    except OSError as error:
        where = error.filename or folder
        raise UnreadableSource(
            f"cannot write the run to {where}: {error.strerror}", hint="name another place with run_dir or RLDK_DIR"
        ) from None


def _new_folder(project: str | None, name: str | None) -> Path:
    wanted = word(name) if name is not None else f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return new_folder(shelf() if project is None else shelf() / word(project), wanted)


def _manifest(folder: Path, project: str | None, name: str | None, config: Any) -> Manifest:
    """The manifest of a run that begins now or is continued."""
    plain = plain_config(config)
    begun = Manifest(
        run_id=folder.absolute().name,
        project=project,
        name=name,
        status="running",
        started_at=timestamp(),
        process=this_process(),
        config=plain,
        seed=plain["seed"] if type(plain.get("seed")) is int else None,
    )
    return with_origin(continued(begun, read_manifest(folder)), sys.orig_argv, keep_in=folder)
