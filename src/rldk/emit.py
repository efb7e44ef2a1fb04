"""Writes metrics from a training loop: one JSON line a record. The operating system has it before `log` returns.

A record is one `os.write` on a descriptor opened to append, so it survives the death of the process and a reader needs
no lock. Nothing here may end a training: what cannot be written is counted and reported once, unless `strict`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rldk.errors import RldkError, UnreadableSource, UsageError
from rldk.outage import Outage, to_stderr

__all__ = ["EventWriter", "launch_rank", "rank_path"]

Fsync = Literal["never", "alert"] | float
STDOUT = "-"
RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")  # torchrun, Slurm, Open MPI, MPICH
MAX_STEP = 2**53  # readers refuse a larger step, because a double is not exact beyond it
LEAST_FIELDS = 4  # of a row without tags, meta and extra: step, wall_time, metrics, model_info
_ABSENT: Any = object()
_encode = json.JSONEncoder(default=str).encode  # it writes NaN and Infinity bare, which readers take as stated
# errors that float(), .item() and json may raise for foreign objects; RuntimeError comes from torch or a recursion
_NOT_DATA = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RuntimeError)


class EventWriter:
    """Appends events to the file `path`, or to stdout when it is "-". Each file has one writer: see `rank_path`.

    `run_id`, `tags` and `meta` go with every record. The tag `phase` marks evaluations. `fsync` says when data is
    forced to the disk: "alert" in `sync` and `close` only, "never" in an explicit `sync` only, a number of seconds also
    that often while logging. Records that could not be written are counted in `lost`. With `strict`, `UnreadableSource`
    is raised instead, and `UsageError` for a step or a value that is no number. `outage`: shared with the other writers
    of a run, so that a full disk is reported once for all of them."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        fsync: Fsync = "alert",
        strict: bool = False,
        outage: Outage | None = None,
    ) -> None:
        if isinstance(fsync, str) and fsync not in ("never", "alert"):
            raise UsageError(f"fsync is {fsync!r}", hint='it must be "never", "alert" or a number of seconds')
        self.path = os.fspath(path)
        self.run_id = run_id
        self.lost = 0
        self.written = 0
        self._tags = dict(tags or {})
        self._meta = dict(meta or {})
        self._fsync = fsync
        self._strict = strict
        self._outage = outage or Outage()
        self._refused = 0  # records that were no data
        self._interval = float(fsync) if isinstance(fsync, int | float) else None
        self._synced = time.monotonic()
        self._fd = -1
        self._torn = False  # the file ends in the middle of a line
        self._closed = False
        self._said = False
        self._lock, self._pid = threading.RLock(), os.getpid()  # re-entrant: a signal handler may log, too
        _fast_encoder()  # so that the first row takes no longer than the others
        with self._lock:
            self._guarded(self._open)

    def log(
        self,
        metrics: Mapping[str, Any] | None = None,
        *,
        step: int,
        name: str | None = None,
        value: Any = _ABSENT,
        time: float | str | None = None,
        tags: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes one record: `log(step=, name=, value=)` one metric, `log({...}, step=)` all metrics of a step.

        A value is anything that `float()` takes, a tensor or array of one element, or None (missing). A mapping in a
        row is a group, joined by "/". A value that is no number is left out of its row. `time`: unix seconds or ISO
        8601, by default now. `extra`: what a row carries beside its metrics (`notes`, `rng`, `data_slice`,
        `model_info`), as in `rldk.io.event_schema`."""
        if (metrics is None) == (name is None) or (name is None) != (value is _ABSENT):
            raise UsageError("log takes a mapping, or a name and a value", hint="log({'kl': 0.1}, step=7)")
        at = _step(step)
        if at is None:
            self._lose(UsageError(f"step is {step!r:.60}", hint="it must be a whole number"))
            return
        try:
            record = self._row(at, metrics, time) if metrics is not None else self._scalar(at, str(name), value, time)
            if tags or self._tags:
                record["tags"] = {**self._tags, **tags} if tags else self._tags
            if meta or self._meta:
                record["meta"] = {**self._meta, **meta} if meta else self._meta
            if extra:
                _add(record, extra)
            line = _fast(record) if metrics is not None and len(record) <= LEAST_FIELDS else None
            line = line or _encode(record).encode("ascii")
        except _NOT_DATA as error:
            self._lose(UsageError(f"a record of step {at} has no JSON form: {error}"))
            return
        with self._held():
            if self._closed:
                self._lose(UnreadableSource(f"cannot write {self.path}: the writer is closed", hint="make a new one"))
                return
            self._guarded(self._write, line + b"\n", step=at, records=1)

    def sync(self) -> None:
        """Forces the written records to the disk. Call it after something that must survive a power failure."""
        with self._held():
            self._guarded(self._sync)

    def close(self) -> None:
        """Closes the file, and reports how many records were no data, if any. Later calls do nothing."""
        with self._held():
            if self._closed:
                return
            if self._fsync != "never":
                self._guarded(self._sync)
            self._closed = True
            if self._fd > 2:
                with suppress(OSError):
                    os.close(self._fd)
            self._fd = -1
            if self._refused:
                to_stderr(f"rldk: {self._refused} records were not written to {self.path}, {self.written} were")

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scalar(self, step: int, name: str, value: Any, moment: float | str | None) -> dict[str, Any]:
        number = value if type(value) is float else _number(value)
        record = {"time": time.time() if moment is None else moment, "step": step, "name": name, "value": number}
        if self.run_id is not None:
            record["run_id"] = self.run_id
        return record

    def _row(self, step: int, metrics: Mapping[str, Any], moment: float | str | None) -> dict[str, Any]:
        # most rows are like this, and it is twice as fast
        values: dict[str, float | None] = {k: v for k, v in metrics.items() if type(v) is float and type(k) is str}
        if len(values) != len(metrics):
            values = {}
            self._gather(metrics, "", step, values)
        record: dict[str, Any] = {"step": step, "wall_time": time.time() if moment is None else moment}
        record["metrics"] = values
        if self.run_id is not None:
            record["model_info"] = {"run_id": self.run_id}
        return record

    def _gather(self, metrics: Mapping[str, Any], prefix: str, step: int, into: dict[str, float | None]) -> None:
        for key, value in metrics.items():
            try:
                if type(value) is float:
                    into[f"{prefix}{key}"] = value
                elif isinstance(value, Mapping):
                    self._gather(value, f"{prefix}{key}/", step, into)
                else:
                    into[f"{prefix}{key}"] = _number(value)
            except _NOT_DATA as error:
                self._lose(UsageError(f"{prefix}{key!s:.60} at step {step} is no number: {error}"), records=0)

    def _held(self) -> AbstractContextManager[bool]:
        """The lock. A forked child gets a new one, because another thread's hold on the old one would last for ever."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.RLock(), os.getpid()
        return self._lock

    def _guarded(self, action: Callable[..., None], *given: bytes, step: int | None = None, records: int = 0) -> None:
        try:
            action(*given)
        except (OSError, ValueError) as error:  # ValueError: a closed sys.stdout, a NUL in the path
            if self._strict:
                reason = getattr(error, "strerror", None) or str(error)
                raise UnreadableSource(f"cannot write {self.path}: {reason}", hint="check the disk") from None
            self.lost += records
            self._outage.failed(self.path, error, records=records, step=step)
        else:
            self.written += records
            self._outage.worked(self.path)

    def _open(self) -> None:
        if self.path == STDOUT:
            self._fd = 1
            return
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with suppress(OSError):  # a pipe or a terminal cannot be read back
            size = os.fstat(self._fd).st_size
            self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def _write(self, line: bytes) -> None:
        if self._fd < 0:
            self._open()
        if self._fd == 1 and sys.stdout is not None:
            sys.stdout.flush()  # otherwise earlier output may land after it, or around it
        data = b"\n" + line if self._torn else line
        while data:  # one pass, unless a full disk or a pipe takes only a part
            data = data[os.write(self._fd, data) :]
            self._torn = bool(data)
        if self._interval is not None and time.monotonic() - self._synced >= self._interval:
            self._sync()

    def _sync(self) -> None:
        if self._fd > 2:
            os.fsync(self._fd)
        self._synced = time.monotonic()

    def _lose(self, error: RldkError, *, records: int = 1) -> None:
        """Raises the error when strict. Otherwise it counts a record that is no data, and reports the first one."""
        if self._strict:
            raise error from None
        with self._held():
            self.lost += records
            self._refused += records
            first, self._said = not self._said, True
        if first:
            to_stderr(f"rldk: {error.message}; the training goes on, and this is reported once")


def _fast(record: dict[str, Any]) -> bytes | None:
    """The plain row as JSON, which takes a tenth of the time; None where a number is not finite or a text not ASCII."""
    with suppress(TypeError, ValueError):  # a missing value, a time of another kind, text that is no Unicode
        total, moment = sum(record["metrics"].values()), record["wall_time"]
        if total - total == 0.0 and (type(moment) is not float or moment - moment == 0.0):
            line = _fast_encoder()(record)
            return line if line.isascii() else None
    return None


@cache
def _fast_encoder() -> Callable[[Any], bytes]:
    """The encoder, loaded with the first writer: a program that only imports this module does not need it."""
    from msgspec.json import Encoder

    return Encoder().encode


def rank_path(path: str | os.PathLike[str], rank: int | None = None) -> Path:
    """The file of one process of a distributed run: `path` itself for rank 0, `metrics.rank3.jsonl` for rank 3.

    Without `rank` the launcher decides (torchrun, Slurm, MPI), else it is 0. Raises `UsageError` when that is no
    number."""
    target = Path(path)
    number = launch_rank() if rank is None else rank
    if number == 0 or str(target) == STDOUT:
        return target
    return target.with_name(f"{target.stem}.rank{number}{target.suffix}")


def launch_rank() -> int:
    """The rank that the launcher gave this process, 0 when there is no launcher."""
    said = next(((v, os.environ[v]) for v in RANK_VARIABLES if os.environ.get(v)), ("", "0"))
    if not said[1].isdecimal():
        raise UsageError(f"{said[0]} is {said[1]!r}", hint="it must be the number of this process")
    return int(said[1])


def _add(record: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Adds fields to a record. A mapping is joined with the one that is there."""
    for key, value in extra.items():
        there = record.get(key)
        record[key] = {**there, **value} if isinstance(there, dict) and isinstance(value, Mapping) else value


def _step(value: Any) -> int | None:
    try:
        number = int(value)
        return number if number == value and abs(number) <= MAX_STEP else None
    except _NOT_DATA:
        return None


def _number(value: Any) -> float | None:
    """The number in a value, None for None. `item` comes first, because float() of an array of one element is
    deprecated."""
    if value is None:
        return None
    item = getattr(value, "item", None)
    return float(value if item is None else item())
