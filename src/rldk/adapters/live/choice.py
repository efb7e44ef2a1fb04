"""Chooses what to follow at a path: the file itself, or the source in a directory that `rldk doctor` would read."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from rldk.adapters.base import BaseAdapter, adapters, adapters_for
from rldk.adapters.explore import GENERIC, Look, Source, best_claim, claims, explore
from rldk.adapters.formats.flexible import FlexibleAdapter, bare_columns, loose_columns, only_column
from rldk.adapters.grouping import WHOLE, Group, group
from rldk.adapters.live.formats import recognise
from rldk.adapters.naming.keys import says_metric
from rldk.adapters.source import HEAD_BYTES, File
from rldk.errors import RldkError

if TYPE_CHECKING:
    from rldk.core.model import Run

QUIET_S = 5.0  # how long a run must be quiet before the monitor follows another old run that is being written
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstandard
_OTHERS = (
    "alerts",
    "lineage.",
    "samples",
)  # the files without metrics that rldk writes as *.jsonl into the directory of a run
_Stamp = tuple[str, int, int, int]


class Choice(Struct, frozen=True):
    """One run of `root`, and its file that is read line by line. Without such a file, the whole run is read again
    whenever it has changed."""

    root: Path
    run: Group
    lines: Path | None

    @property
    def files(self) -> frozenset[Path]:
        return frozenset(path for source in self.run.sources for path in source.files)

    @property
    def reading_key(self) -> tuple[object, ...]:
        """A key that is equal for two choices that are read in the same way."""
        if self.lines is not None:
            return (self.lines, self.run.best.adapter)
        return (frozenset((source.adapter, source.files, source.run) for source in self.run.sources),)

    def stamps(self) -> list[_Stamp]:
        """Stamps that change when one of the files is written; a missing file has none."""
        parts = (part for s in self.run.sources for path in s.files for part in s.adapter.parts(path))
        return sorted(stamp for part in set(parts) if (stamp := _stamp(part)) is not None)

    def read(self, field_map: Mapping[str, str], kept: dict[tuple[Path, ...], BaseAdapter]) -> Run:
        """The run as `rldk doctor` reads it. When a file holds several, it is the run that began last.

        `kept`: adapters of earlier readings, which may continue. Raises what `open_runs` raises."""
        from rldk.adapters.folder import Options, read_again, read_group

        source, options = self.run.best, Options(kinds=tuple(adapters), field_map=field_map)
        if len(self.run.sources) == 1 and source.adapter.resumes:
            return read_again(source, kept.setdefault(source.files, source.adapter(source.files)), options)
        if self.root not in self.files:
            return read_group(self.run, options, self.root, {})
        from rldk.adapters.open import open_runs

        return max(reversed(open_runs(self.root, field_map=field_map)), key=_begun)


def _begun(run: Run) -> float:
    """The time at which the run began; -1 when it is unknown."""
    times = run.metrics.time
    return float(times[0]) if len(times) and times[0] == times[0] else -1.0


class Chooser:
    """Chooses the run to follow at a path, again and again. `choose` gives None while there is nothing to read.

    The content decides the format of a file. In a directory the run that was written last is chosen. This choice stays
    until files of another run appear, or an older run is written while the chosen one is quiet for `QUIET_S`.
    `mapped`: the user says what the columns mean. `exclude`: files of a directory to ignore."""

    def __init__(
        self,
        path: Path,
        *,
        mapped: bool = False,
        exclude: Collection[Path] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._mapped = mapped
        self._exclude = frozenset(os.path.realpath(other) for other in exclude)
        self._clock = clock
        self._looks: dict[str, tuple[_Stamp, Look]] = {}
        self._seen: frozenset[Path] = frozenset()
        self._followed: frozenset[Path] = frozenset()
        self._fed = clock()

    def note_activity(self) -> None:
        """Notes that the chosen run has given data."""
        self._fed = self._clock()

    def choose(self) -> Choice | None:
        chosen = self._of_folder() if self._path.is_dir() else self._of_file()
        self._followed = chosen.files if chosen is not None else frozenset()
        return chosen

    def _of_file(self) -> Choice | None:
        path, file = self._path, File(self._path)
        try:
            claimed = claims(file, adapters_for(file.head))
            kind = claimed[0][1] if claimed else self._unclaimed(file)
        except (OSError, EOFError, ValueError, zlib.error, RldkError):
            return None
        if kind is None:
            return None
        source = Source(adapter=kind, files=(path,), confidence=0, home=path.parent)
        grows = kind.lines is not None and (bool(claimed) or recognise(file.head, mapped=self._mapped) is not None)
        return Choice(path, Group(sources=[source]), path if grows and not is_compressed(path) else None)

    def _unclaimed(self, file: File) -> type[BaseAdapter] | None:
        """The adapter for any table, unless the file is a text of lines in which no name means a metric. A table
        without a header, or under a name of several words, is read again when it has grown: it takes more than a line
        to see what its columns are."""
        told = recognise(file.head, mapped=self._mapped) is not None or file.head.lstrip().startswith(b"[")
        if not told:
            columns = bare_columns(file)
            told = bool(only_column(file)) or (bool(columns) and (self._mapped or says_metric(columns)))
        return FlexibleAdapter if told and FlexibleAdapter.sniff(file) else None

    def _of_folder(self) -> Choice | None:
        found = explore(self._path, lambda paths: map(self._look, paths))
        runs, _ = group(found.sources, self._path)
        runs = [run for run in runs if not all(source.adapter.samples_only for source in run.sources)]
        if not runs:
            return self._any_lines()
        run = self._turn(runs)
        self._seen = frozenset(path for source in found.sources for path in source.files)
        return Choice(self._path, run, _lines(run))

    def _turn(self, runs: list[Group]) -> Group:
        """The run to follow now."""
        written = {id(run): _written(run) for run in runs}
        newest = max(runs, key=lambda run: written[id(run)])
        now = next((run for run in runs if not self._followed.isdisjoint(_files(run))), None)
        if now is None:
            return newest
        fresh = not self._seen.issuperset(_files(newest))
        overtaken = self._clock() - self._fed > QUIET_S and written[id(newest)] > written[id(now)]
        return newest if fresh or overtaken else now

    def _any_lines(self) -> Choice | None:
        """The newest *.jsonl of a directory without a log, because its first lines may hold no metrics."""
        found = [path for path in self._path.glob("*.jsonl") if path.is_file() and not self._passed_over(path)]
        path = max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
        if path is None:
            return None
        kind = adapters.get("jsonl")
        source = Source(adapter=kind, files=(path,), confidence=0, home=self._path)
        return Choice(self._path, Group(sources=[source]), path)

    def _look(self, path: Path) -> Look:
        """The answer of `best_claim`, which is asked again only when the answer may change. For a recognised file its
        beginning decides that; for another file its whole content does, because metrics may come late."""
        stamp = None if self._passed_over(path) else _stamp(path)
        if stamp is None:
            return Look()
        beginning = (*stamp[:2], HEAD_BYTES, 0) if stamp[2] >= HEAD_BYTES else stamp
        known, look = self._looks.get(str(path), (None, Look()))
        if known == (stamp if look.claim is None else beginning):
            return look
        look = self._best(path)
        self._looks[str(path)] = (stamp if look.claim is None else beginning, look)
        return look

    def _best(self, path: Path) -> Look:
        try:
            head = File(path).head
        except (OSError, EOFError, zlib.error, RldkError):
            head = b""
        return best_claim(path, adapters_for(head))

    def _passed_over(self, path: Path) -> bool:
        own = path.suffix == ".jsonl" and path.name.startswith(_OTHERS)
        return own or os.path.realpath(path) in self._exclude


def is_compressed(path: Path) -> bool:
    """Whether the file is compressed. Raises `OSError`."""
    with path.open("rb") as stream:
        return stream.read(4).startswith(PACKED)


def _lines(run: Group) -> Path | None:
    """The file of the run to read line by line: its best source, if that is surely one file of lines. Only the rows of
    a console log and a generic log tell which of the two has more, so then the result is None."""
    best = run.best
    unsure = GENERIC < best.adapter.quality < WHOLE and any(
        s.adapter.quality == GENERIC and not s.adapter.samples_only for s in run.sources
    )
    if (
        best.adapter.lines is None
        or len(best.files) > 1
        or best.run is not None
        or unsure
        or is_compressed(best.files[0])
        or (best.adapter is FlexibleAdapter and not loose_columns(File(best.files[0])))
    ):
        return None
    return best.files[0]


def _files(run: Group) -> Iterable[Path]:
    return (path for source in run.sources for path in source.files)


def _written(run: Group) -> int:
    """The time at which a file of the run was last written."""
    parts = (part for s in run.sources for path in s.files for part in s.adapter.parts(path))
    return max((stamp[3] for part in parts if (stamp := _stamp(part)) is not None), default=0)


def _stamp(path: Path) -> _Stamp | None:
    """The path, inode, size and time of the last write; None for a missing file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns
