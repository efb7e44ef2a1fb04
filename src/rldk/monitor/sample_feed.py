"""The per-sample records beside a log that grows: `samples-*.jsonl` in the directory of a run."""

from __future__ import annotations

import re
import time
from bisect import insort
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rldk.adapters.live.follow import follow
from rldk.adapters.live.tail import FileFollower
from rldk.core.lines import LineSplitter
from rldk.core.records import BadLine, parse
from rldk.core.text import later

if TYPE_CHECKING:
    from rldk.core.samples import Sample

EVENTS = "_events"
RANK = later(r"\.rank(\d{1,9})\.jsonl$")
LOOK_S = 0.5  # between two looks for files that are new
MOST_FILES = 64
MOST_WAITING = 100_000  # samples; of a log whose rows do not come


class SampleFeed:
    """Follows the sample files of one log. The samples of a step are there before its row, as the recorder writes them:
    poll after the rows were read.

    `log`: the file of rows. `a_events.jsonl` has the samples of `samples-a.jsonl`, `samples-a-1.jsonl` and of their
    ranks; any other log has those of all files."""

    def __init__(self, log: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[Path, tuple[FileFollower, LineSplitter, int]] = {}
        self._pattern = _pattern(log)
        self._folder = log.parent
        self.restart()

    def turn(self, log: Path) -> None:
        """Follows the samples of another log, if it has others."""
        if (log.parent, _pattern(log)) != (self._folder, self._pattern):
            self._folder, self._pattern = log.parent, _pattern(log)
            self.restart()

    def restart(self) -> None:
        """Reads everything again from the beginning."""
        for follower, _, _ in self._files.values():
            follower.close()
        self._files = {}
        self._newest: dict[int, int] = {}  # by rank: the newest step of its samples
        self._waiting: list[tuple[int, int, Sample]] = []  # by step, then in the order in which they came
        self._taken = 0
        self._looked = -LOOK_S

    @property
    def has_any(self) -> bool:
        """Whether a sample has been read."""
        return self._taken > 0

    def poll(self) -> None:
        """Reads what is new."""
        now = self._clock()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._find()
        for follower, splitter, rank in self._files.values():
            for line in splitter.feed(follower.poll()).lines:
                self._take(line, rank)

    def behind(self, step: int) -> frozenset[int]:
        """The ranks that have samples, but none yet of the newest step up to `step` that another rank sampled."""
        if len(self._newest) < 2:
            return frozenset()
        newest = max((at for at, _, _ in self._waiting if at <= step), default=None)
        return frozenset(rank for rank, own in self._newest.items() if newest is not None and own < newest)

    def until(self, step: int) -> list[Sample]:
        """The samples up to a step that were not given yet, by step."""
        end = next((i for i, (at, _, _) in enumerate(self._waiting) if at > step), len(self._waiting))
        given, self._waiting = self._waiting[:end], self._waiting[end:]
        return [sample for _, _, sample in given]

    def rest(self) -> list[Sample]:
        """Returns all samples that nobody has had yet, including those of an unfinished line."""
        self._looked = -LOOK_S
        self.poll()
        for follower, splitter, rank in self._files.values():
            for line in (*splitter.feed(follower.finish()).lines, *splitter.finish().lines):
                self._take(line, rank)
            follower.close()
        given, self._waiting, self._files = self._waiting, [], {}
        return [sample for _, _, sample in given]

    def _find(self) -> None:
        for path in sorted(self._folder.glob("samples-*.jsonl")):
            new = path not in self._files and self._pattern.fullmatch(path.name) and path.is_file()
            if new and not path.is_symlink() and len(self._files) < MOST_FILES:
                made = follow(path, clock=self._clock)
                if isinstance(made, FileFollower):
                    rank = RANK.search(path.name)
                    self._files[path] = made, LineSplitter(), int(rank[1]) if rank else 0

    def _take(self, line: bytes, rank: int) -> None:
        from rldk.core.samples import is_sample, to_sample  # a log without samples starts without it

        try:
            record = parse(line) if line.strip() else {}
        except BadLine:
            return
        if is_sample(record) and len(self._waiting) < MOST_WAITING:
            sample = to_sample(record)
            self._taken += 1
            self._newest[rank] = max(self._newest.get(rank, 0), sample.step or 0)
            insort(self._waiting, (sample.step or 0, self._taken, sample))


def _pattern(log: Path) -> re.Pattern[str]:
    """The names of the files with the samples of a log."""
    name = log.name.split(".")[0]
    own = re.escape(name.removesuffix(EVENTS)) + r"(-\d+)?" if name.endswith(EVENTS) else r"[^/]*"
    return re.compile(rf"samples-{own}(\.rank\d+)?\.jsonl")
