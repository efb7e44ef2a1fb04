"""Follows a path. What kind of source it is, is determined first, and again while that may change."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rldk.adapters.live.choice import Choice, Chooser
from rldk.adapters.live.follow import FilesFollower, follow
from rldk.adapters.live.reader import ReadOptions
from rldk.adapters.source import HEAD_BYTES
from rldk.core.table import Row
from rldk.monitor.feeds import LOOK_AFTER, LogFeed
from rldk.monitor.pace import Pace
from rldk.monitor.summary import SourceStats
from rldk.rules.rule import Context

if TYPE_CHECKING:
    from rldk.monitor.documents import DocumentFeed
    from rldk.monitor.sample_feed import SampleFeed

LOOK_S = 0.25  # between two looks into a directory


class StreamFeed:
    """A file or a directory, which need not exist yet.

    It is read line by line, or as a whole whenever it has changed; the format that is found there decides. When a
    better or newer source appears, that one is read from then on. `samples`: the per-sample records beside a file are
    read as well, as they always are in a directory."""

    def __init__(
        self,
        path: Path,
        run: str,
        how: ReadOptions,
        *,
        warn: Callable[[str], None],
        exclude: Collection[Path] = (),
        samples: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.restarted = False
        self._path = path
        self._how = how
        self._warn = warn
        self._clock = clock
        self._sampled = samples
        self._chooser = Chooser(path, mapped=bool(how.field_map), exclude=exclude, clock=clock)
        self._pace = Pace(clock, LOOK_S)
        self._choice: Choice | None = None
        self._feed: LogFeed | DocumentFeed | None = None
        self._files: FilesFollower | None = None  # for a feed of lines, where they may come from several files
        self._samples: SampleFeed | None = None  # beside a log of lines in a directory
        self._looked: object = None  # the properties of a file that decide how it is read, at the last look
        self._before = 0  # the position at which the feed began
        self._rows = 0  # rows given since all rows came
        self._anew = False  # the next rows are all rows from the first
        self._polls: int | None = 0  # polls while nothing is there and nothing was explained

    @property
    def source(self) -> str:
        return self._feed.source if self._feed is not None else str(self._path)

    @property
    def busy(self) -> bool:
        return self._feed is not None and self._feed.busy

    @property
    def ended(self) -> bool:
        return self._feed is not None and self._feed.ended

    @property
    def position(self) -> int:
        return self._before + (self._feed.position if self._feed is not None else 0)

    @property
    def context(self) -> Context | None:
        return self._feed.context if self._feed is not None else None

    @property
    def identity(self) -> str:
        return self._feed.identity if self._feed is not None else ""

    @property
    def samples(self) -> SampleFeed | None:
        return self._samples

    def poll(self) -> list[Row]:
        self.restarted = False
        rows = self._passed(self._feed.poll()) if self._feed is not None else []
        if rows or self.busy:
            self._chooser.note_activity()
            return rows
        if not self._pace.due():
            return []
        turned = False
        with self._pace.measure(), suppress(OSError):  # a listed file may be gone when it is opened
            turned = self._look()
        return self._passed(self._feed.poll()) if turned and self._feed is not None else []

    def peek(self) -> Sequence[Row]:
        return self._feed.peek() if self._feed is not None else []

    def finish(self) -> list[Row]:
        self.restarted = False
        with suppress(OSError):
            self._look(finish=True)
        if self._feed is None:
            if self._polls is not None:
                self._say_waiting()
            return []
        return self._passed(self._feed.finish())

    def stats(self) -> SourceStats:
        return self._feed.stats() if self._feed is not None else SourceStats(path=str(self._path))

    def _passed(self, rows: list[Row]) -> list[Row]:
        """The rows of the feed. The first of them carry the note whether these are all rows."""
        feed = self._feed
        self._anew = self._anew or (feed is not None and feed.restarted)
        if rows:
            self.restarted, self._anew = self._anew, False
            self._rows = len(rows) + (0 if self.restarted else self._rows)
        return rows

    def _look(self, *, finish: bool = False) -> bool:
        """Determines what to read, and returns whether that has changed."""
        path = self._path
        if self._how.pattern is not None and not path.is_dir():
            return self._feed is None and self._read_lines(path)
        if path.is_dir():
            chosen = self._chooser.choose()
        elif path.is_file():
            looked = self._look_at(path)
            if looked == self._looked and not finish:
                return False
            self._looked = looked
            chosen = self._chooser.choose()
        else:
            chosen = None
        if chosen is None:
            return self._wait()
        if self._choice is not None and chosen.reading_key == self._choice.reading_key:
            return False
        return self._turn(chosen)

    def _look_at(self, path: Path) -> object:
        """The properties of a file that decide how it is read. Its beginning is checked more rarely once rows have come
        from it."""
        found = path.stat()
        size = min(found.st_size, HEAD_BYTES)
        return found.st_ino, size.bit_length() if self._rows else size

    def _wait(self) -> bool:
        """Handles a path that cannot be read yet: a text may become a log, anything else is reported once."""
        path = self._path
        if path.exists() and not path.is_dir():
            return self._feed is None and self._read_lines(path)
        if self._feed is None and self._polls is not None:
            self._polls += 1
            if not path.exists() or self._polls >= LOOK_AFTER:
                self._say_waiting()
        return False

    def _say_waiting(self) -> None:
        from rldk.monitor.unread import waiting

        self._warn(waiting(self._path))
        self._polls = None

    def _turn(self, chosen: Choice) -> bool:
        """Reads the choice from now on."""
        before, self._choice = self._choice, chosen
        lines = chosen.run.best.files[0] if self._how.pattern is not None else chosen.lines
        feed = self._feed
        if lines is None:
            from rldk.monitor.documents import DocumentFeed  # a log of lines starts without it

            if isinstance(feed, DocumentFeed):
                feed.turn(chosen)
                return True
            self._files = None
            self._begin(DocumentFeed(chosen, self.run, self._how.field_map, warn=self._warn, clock=self._clock))
            return True
        if self._files is not None and before is not None and before.lines is not None:
            found = lines.stat()
            if (found.st_dev, found.st_ino) == self._files.identity or str(lines) == self._files.source:
                return False  # the same file under a new name, or its successor under the old name: the follower knows
            if before.run.best.adapter is chosen.run.best.adapter and before.lines.parent == lines.parent:
                self._files.turn(lines)
                if self._samples is not None:
                    self._samples.turn(lines)
                return True
        return self._read_lines(lines)

    def _read_lines(self, path: Path) -> bool:
        if isinstance(self._feed, LogFeed) and self._files is None and path == self._path:
            return False  # it is read so already
        self._files = FilesFollower(path, clock=self._clock) if path != self._path else None
        follower = self._files or follow(path, clock=self._clock)
        self._begin(LogFeed(follower, self.run, replace(self._how, path=path), warn=self._warn))
        if self._sampled or self._path.is_dir():
            from rldk.monitor.sample_feed import SampleFeed  # other logs start without it

            self._samples = SampleFeed(path, clock=self._clock)
        return True

    def _begin(self, feed: LogFeed | DocumentFeed) -> None:
        self._samples = None
        self._before = self.position + (self._feed is not None)
        self._anew = self._anew or self._rows > 0
        self._feed, self._polls = feed, None
