"""The run directories below a folder, newest first, and what each says of its run."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rldk.core.manifest import Manifest, Status, manifest_of, plain, read_manifest, status_of, timestamp
from rldk.core.rundir import MARKS, RunDirectory
from rldk.core.secrets.redact import redact
from rldk.errors import InputError, UnreadableSource

MOST = 20_000  # folders that are looked into
DEPTH = 6  # levels below the folder
TAIL_BYTES = 64 << 10  # of metrics.jsonl, in which its last step is looked for
REPORT_BYTES = 16 << 20
MAX_STEP = 1 << 53


MOST_RANKS = 4096


class Catalogue(Struct, frozen=True, kw_only=True):
    """`runs`: newest first. `looked`: folders that were looked into; `complete`: whether those are all. `closed`:
    folders that could not be opened."""

    runs: tuple[RunEntry, ...]
    looked: int
    complete: bool
    closed: tuple[str, ...] = ()


class RunEntry(Struct, frozen=True, kw_only=True):
    """A run directory and its manifest; a list keeps only the small fields of it.

    `when`: its beginning, ISO 8601 in UTC; of a run whose manifest does not say, the last change of its files.
    `problem`: why the manifest cannot be read."""

    directory: RunDirectory
    manifest: Manifest | None
    when: str
    problem: str = ""

    @property
    def state(self) -> Status | Literal["unreadable"]:
        """The state of the run, as `status_of` gives it; a run that left only a report has finished."""
        if self.problem:
            return "unreadable"
        if self.manifest is not None:
            return status_of(self.manifest)
        return "finished" if self.directory.report.is_file() else "unknown"

    @property
    def run_id(self) -> str:
        return (self.manifest and self.manifest.run_id) or self.directory.path.absolute().name


class StoredVerdict(Struct, frozen=True, kw_only=True):
    """What a run came to: its last step, and from its report the health and the verdict; empty without a report."""

    last_step: int | None = None
    health: str = ""
    verdict: str = ""


def find_runs(root: Path) -> Catalogue:
    """Every run directory in `root`, which may be one itself. Links are not followed, and a folder inside of a run is
    not looked into. At most `MOST` folders are, the outer ones first. Raises `UnreadableSource` when `root` cannot be
    opened."""
    waiting = deque([(root, 0)])
    runs: list[RunEntry] = []
    closed: list[str] = []
    looked = 0
    while waiting and looked < MOST:
        folder, depth = waiting.popleft()
        looked += 1
        try:
            with os.scandir(folder) as entries:
                inside = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries)
        except OSError as error:
            if folder == root:
                raise UnreadableSource(f"cannot open {root}: {error.strerror or error}") from None
            closed.append(str(folder))
            continue
        if any(name in MARKS and not is_folder for name, is_folder in inside):
            runs.append(_slim(_entry(RunDirectory(folder))))
        elif depth < DEPTH:
            waiting.extend((folder / name, depth + 1) for name, is_folder in inside if is_folder and name[0] != ".")
    runs.sort(key=lambda run: (run.when, str(run.directory.path)), reverse=True)
    return Catalogue(runs=tuple(runs), looked=looked, complete=not waiting, closed=tuple(closed))


def outcome(directory: RunDirectory) -> StoredVerdict:
    """What the run came to, from its report and the end of its log; never fails."""
    found = _report(directory.report)
    step = found.last_step if found.last_step is not None else last_step(directory.metrics)
    return StoredVerdict(last_step=step, health=found.health, verdict=found.verdict)


def chosen_run(name: str, root: Path) -> RunEntry:
    """The run at the path `name`, or the newest one in `root` that is called so, without secrets.

    Raises `UnreadableSource` when there is none."""
    path = Path(name)
    if path.is_dir():
        return _without_secrets(_entry(RunDirectory(path)))
    runs: Sequence[RunEntry] = find_runs(root).runs if root.is_dir() else ()
    found = next((run for run in runs if name in (run.run_id, run.directory.path.name)), None)
    if found is None:
        raise UnreadableSource(f"no run is called {name!r}", hint=f"`rldk runs list {root}` shows which there are")
    return _without_secrets(_entry(found.directory))


def other_ranks(directory: RunDirectory) -> tuple[Manifest, ...]:
    """What the other processes of a distributed run say of it, by rank and without secrets; what cannot be read is left
    out."""
    found = []
    for path in sorted(directory.path.glob("run.rank*.json"))[:MOST_RANKS]:
        try:
            manifest = read_manifest(directory.path, path.name)
        except InputError:
            continue
        if manifest is not None and manifest.rank is not None:
            found.append(manifest_of(redact(plain(manifest))))
    return tuple(sorted(found, key=lambda manifest: manifest.rank or 0))


def _without_secrets(run: RunEntry) -> RunEntry:
    """The run with a manifest that may be shown: another tool may have written it."""
    return run if run.manifest is None else replace(run, manifest=manifest_of(redact(plain(run.manifest))))


def _entry(directory: RunDirectory) -> RunEntry:
    problem, manifest = "", None
    try:
        manifest = read_manifest(directory.path)
    except InputError as error:
        problem = error.message
    said = _moment((manifest and manifest.started_at) or "")
    return RunEntry(directory=directory, manifest=manifest, when=said or _changed(directory), problem=problem)


def _slim(run: RunEntry) -> RunEntry:
    """The run without what is large in a manifest and in no list."""
    if run.manifest is None:
        return run
    return replace(run, manifest=replace(run.manifest, config={}, environment={}, packages={}, other={}, command=()))


def _moment(text: str) -> str:
    """The moment in the one form in which moments can be compared as text, empty when it is none."""
    try:
        found = datetime.fromisoformat(text)
        return timestamp((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""


def _changed(directory: RunDirectory) -> str:
    times = [0.0]
    for path in (directory.manifest, directory.metrics, directory.alerts, directory.report):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    try:
        return timestamp(max(times))
    except (ValueError, OverflowError, OSError):
        return timestamp(0)


def _report(path: Path) -> StoredVerdict:
    try:
        if path.is_file() and path.stat().st_size <= REPORT_BYTES:
            return msgspec.json.decode(path.read_bytes(), type=StoredVerdict)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    return StoredVerdict()


def last_step(path: Path) -> int | None:
    """The step of the last whole record in the newest `TAIL_BYTES` of a log; None without one."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            lines = stream.read(TAIL_BYTES).split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        try:
            step = json.loads(line)["step"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if type(step) is int and abs(step) <= MAX_STEP:
            return step
    return None
