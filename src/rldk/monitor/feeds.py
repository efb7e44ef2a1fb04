"""Sources of rows: a finished file, one that grows, stdin, a run on a server."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rldk.adapters.layout import run_name
from rldk.adapters.live.follow import Follower
from rldk.adapters.live.formats import recognise
from rldk.adapters.live.reader import LiveReader, ReadOptions
from rldk.adapters.source import File
from rldk.cards.safe import clean
from rldk.core.model import Run
from rldk.core.stream import BrokenStream, chunks
from rldk.core.table import Row
from rldk.engine.scan import context_of, rows_of
from rldk.errors import UnreadableSource
from rldk.monitor.summary import SourceStats, source_stats
from rldk.rules.rule import Context

if TYPE_CHECKING:
    from rldk.monitor.sample_feed import SampleFeed

CHUNK = 1 << 20
LOOKS = 3  # at the end: a file that was rewritten at the last moment shows this at the second look
LOOK_AFTER = 8  # polls without a row, a power of two, before the reason is looked for
IDENTITY_BYTES = 4096  # of the first line, which identifies a log


class LogFeed:
    """A log that `LiveReader` reads. A follower supplies its bytes.

    A follower that cannot read for a while is asked again, if it has read something before; `warn` gets a message."""

    samples: SampleFeed | None = None

    def __init__(self, follower: Follower, run: str, how: ReadOptions, *, warn: Callable[[str], None]) -> None:
        self.run = run
        self.restarted = False
        self.position = 0
        self._first = ""  # digest of the first line
        self._follower = follower
        self._warn = warn
        self._how = how
        self._reader = LiveReader(how)
        self._revision = 0
        self._head = b""
        self._failing = False
        self._quiet: int | None = 0  # polls so far without a row and without an explanation

    @property
    def source(self) -> str:
        return self._follower.source

    @property
    def identity(self) -> str:
        mark = self._reader.mark
        return _digest(mark.encode()) if mark else self._first

    @property
    def busy(self) -> bool:
        return self._follower.busy

    @property
    def ended(self) -> bool:
        return self._follower.ended

    @property
    def context(self) -> Context | None:
        return context_of(self._reader.meta)

    def poll(self) -> list[Row]:
        self.restarted = False
        data = self._read()
        rows: list[Row] = []
        if self._follower.begins and self.position:
            rows = self._more(rows, self._reader.begin)
        if data:
            rows = self._take(rows, data)
        rows = rows if self.busy else self._more(rows, self._reader.flush)
        if self._quiet is not None and not self.ended:
            self._quiet = None if rows else self._explain(self._quiet + 1)
        return rows

    def peek(self) -> list[Row]:
        return self._reader.peek()

    def finish(self) -> list[Row]:
        rows: list[Row] = []
        again = False
        for _ in range(LOOKS):
            new = self.poll()
            rows = new if self.restarted else rows + new
            again = again or self.restarted
        self.restarted = again
        rows = self._take(rows, self._follower.finish())
        self._follower.close()
        self._first = self._first or _digest(self._head)
        rows = self._more(rows, self._reader.finish)
        if self.position and self._quiet is not None and self._reader.meta.format == "unknown":
            self._warn(
                f"{self.source}: {self.position} bytes in no log format that rldk knows; "
                "`rldk format-info` lists those, and --regex name=value or a pattern reads other texts"
            )
        if self._quiet is not None and not self._reader.lines and self._how.pattern:
            self._warn(f"{self.source}: nothing in {self.position} bytes matches the pattern {self._how.pattern!r}")
        return rows

    def stats(self) -> SourceStats:
        reader = self._reader
        lines = (reader.lines, reader.rejected_count, reader.rejected)
        return source_stats(self.source, reader.meta, lines, dict(self._follower.changes))

    def _explain(self, polls: int) -> int | None:
        """Explains once why there are no rows, where the reason can be told. It looks after a second, two, four, ..."""
        if polls < LOOK_AFTER or polls & (polls - 1):
            return polls
        from rldk.monitor.unread import why_unread

        why = why_unread(self.source)
        if why:
            self._warn(why)
        return None if why else polls

    def _read(self) -> bytes:
        try:
            data = self._follower.poll()
        except UnreadableSource as error:
            if not self.position:
                raise
            if not self._failing:
                self._warn(f"{error.message}; rldk tries again")
            self._failing = True
            return b""
        self._failing = False
        return data

    def _take(self, rows: list[Row], data: bytes) -> list[Row]:
        self.position += len(data)
        if not self._first:
            self._head += data[:IDENTITY_BYTES]
            first, newline, _ = self._head.partition(b"\n")
            if newline or len(self._head) >= IDENTITY_BYTES:
                self._first = _digest(first)
        return self._more(rows, lambda: self._reader.feed(data))

    def _more(self, rows: list[Row], call: Callable[[], list[Row]]) -> list[Row]:
        """The rows, followed by those that the call returns; only the latter if the call returns all rows again."""
        new = call()
        if self._reader.revision == self._revision:
            return rows + new
        self._revision, self.restarted = self._reader.revision, True
        return new


class WholeFile:
    """A finished file as a follower, from its beginning to its end, decompressed."""

    cursor = None
    begins = False

    def __init__(self, path: Path, *, warn: Callable[[str], None]) -> None:
        self.source = str(path)
        self.busy = True
        self.ended = False
        self.changes: Counter[str] = Counter()
        self._chunks: Iterator[bytes] = chunks(path, CHUNK)
        self._warn = warn

    def poll(self) -> bytes:
        try:
            data = next(self._chunks, b"")
        except BrokenStream as error:
            self.changes["broken_off"] += 1
            self._warn(f"{self.source} breaks off: {error}; the rows before that are judged")
            data = b""
        self.busy, self.ended = bool(data), not data
        return data

    def finish(self) -> bytes:
        return b"".join(iter(self.poll, b""))

    def close(self) -> None:
        """Does nothing: the stream closes itself at its end."""


class RunFeed:
    """A run whose format is not made of lines. It was read as a whole beforehand."""

    restarted = False
    identity = ""
    position = 0
    busy = False
    ended = True
    samples: SampleFeed | None = None

    def __init__(self, run: Run, name: str) -> None:
        self.source = run.source
        self.run = name
        self._run = run
        self._rows: list[Row] | None = None

    @property
    def context(self) -> Context:
        return context_of(self._run.meta)

    def poll(self) -> list[Row]:
        """All rows, once."""
        found = [] if self._rows is not None else list(rows_of(self._run))
        self._rows = []
        return found

    def peek(self) -> list[Row]:
        return []

    def finish(self) -> list[Row]:
        return []

    def stats(self) -> SourceStats:
        run = self._run
        return source_stats(self.source, run.meta, (run.lines, run.rejected_count, run.rejected))


def _digest(first: bytes) -> str:
    return hashlib.sha256(first[:IDENTITY_BYTES]).hexdigest()[:16]


def finished_feeds(sources: Sequence[str], how: ReadOptions, *, warn: Callable[[str], None]) -> list[LogFeed | RunFeed]:
    """Feeds of finished logs: files, directories, and whatever else `open_runs` reads. Several feeds get names.

    Raises what `open_runs` raises."""
    made: list[LogFeed | RunFeed] = []
    for source, name in zip(sources, run_names(sources), strict=True):
        path = Path(source)
        if how.pattern or (path.is_file() and recognise(File(path).head, mapped=bool(how.field_map)) is not None):
            made.append(LogFeed(WholeFile(path, warn=warn), name, replace(how, path=path), warn=warn))
            continue
        from rldk.adapters.open import open_runs

        runs = open_runs(source, field_map=how.field_map)
        made += [RunFeed(run, name if len(runs) == 1 else clean(run.id, 100)) for run in runs]
    return made


def run_names(sources: Sequence[str]) -> list[str]:
    """The run names of the sources: "" for a single one, else the file name, numbered where two are equal."""
    if len(sources) == 1:
        return [""]
    seen: dict[str, int] = {}
    names = []
    for source in sources:
        name = clean(run_name(Path(source)), 100)
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names
