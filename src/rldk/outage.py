"""Files that cannot be written: said once for all files of a run, and once more when they can be written again.

A full disk and a folder that is gone or read-only meet every file of a run. Its writers share one `Outage`: the first
that fails says what is lost, what goes on and what to do. The others are counted."""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

Place = str | os.PathLike[str]
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
MOST_TOLD = 3  # a disk that is full and free in turns must not fill the console
MOST_NAMED = 4  # files in one message
ADVICE = {
    **dict.fromkeys(FULL, "Free some space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Make the folder writable"),
    **dict.fromkeys((errno.ENOENT, errno.ESTALE), "Put the folder back"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "Move the file that is in the place of the folder"),
}


def to_stderr(text: str) -> None:
    """Prints a line on stderr, if there is one."""
    with suppress(OSError, ValueError, AttributeError):  # a stderr that is closed, full or None
        sys.stderr.write(f"{text}\n")


class Gap:
    """What one file lacks: how many records, and the first and the last step that is known of them."""

    def __init__(self) -> None:
        self.records = 0
        self.first: int | None = None
        self.last: int | None = None

    def add(self, records: int, step: int | None) -> None:
        """Counts records that are lost."""
        self.records += records
        if step is not None:
            self.first = step if self.first is None else self.first
            self.last = step

    def described(self, name: str) -> str:
        """For a message: "3 records of r_events.jsonl (steps 4 to 6)"."""
        counted = f"{self.records:,} record{'s' if self.records != 1 else ''} of {name}"
        if self.first is None:
            return counted
        steps = f"step {self.first}" if self.first == self.last else f"steps {self.first} to {self.last}"
        return f"{counted} ({steps})"


class Outage:
    """What the writers of one run share. `say` shows one line to the user; `effect` says what is lost and what goes on.

    An outage ends when every file that failed and is tried again can be written. The next one is said as well, three at
    most. A file that is written once, as a report is, cannot show an end: the same error of another one is silent."""

    def __init__(
        self,
        say: Callable[[str], None] | None = None,
        *,
        effect: str = "New records are lost until this is mended; the training goes on.",
    ) -> None:
        self._say = say or (lambda text: to_stderr(f"rldk: {text}"))
        self._effect = effect
        self._failing: set[str] = set()
        self._known: set[int | None] = set()  # the errors of this outage
        self._gaps: dict[str, Gap] = {}  # of this outage
        self._missing: Counter[str] = Counter()
        self._told = 0

    @property
    def missing(self) -> Mapping[str, int]:
        """How many records each file lacks, by its name; {} where all are there."""
        return dict(self._missing)

    def attempt(
        self,
        path: Place,
        action: Callable[[], object],
        *,
        records: int = 1,
        step: int | None = None,
        once: bool = False,
    ) -> bool:
        """Runs `action`, which writes `records` records of `step` to `path`. Returns whether it could: an `OSError` is
        an outage, and any other error is raised. `once`: nothing else is written to this file."""
        try:
            action()
        except OSError as error:
            self.failed(path, error, records=records, step=step, once=once)
            return False
        self.worked(path)
        return True

    def failed(
        self, path: Place, error: BaseException, *, records: int = 0, step: int | None = None, once: bool = False
    ) -> None:
        """`path` could not be written, and so many records are lost. `once` as in `attempt`."""
        self.lose(path, records, step)
        number = getattr(error, "errno", None)
        kinds = FULL if number in FULL else {number}
        silent = bool(self._failing) or not kinds.isdisjoint(self._known)
        self._known |= kinds
        if not once:
            self._failing.add(os.fspath(path))
        if silent:
            return
        self._told += 1
        if self._told <= MOST_TOLD:
            reason = getattr(error, "strerror", None) or str(error)
            advice = ADVICE.get(number or 0, "Check the disk")
            self._say(
                f"cannot write {os.fspath(path)}: {reason}. {self._effect} {advice}: rldk tries again by itself, "
                "and says this once for all files of the run"
            )

    def lose(self, path: Place, records: int, step: int | None = None) -> None:
        """Counts records of `path` that are lost."""
        if records:
            name = Path(path).name
            self._gaps.setdefault(name, Gap()).add(records, step)
            self._missing[name] += records

    def worked(self, path: Place) -> None:
        """`path` could be written. On a disk that was full this is no end as long as it has no free block: a short
        record may fit where a long one does not."""
        if not self._failing or (self._known & FULL and not _has_space(path)):
            return
        self._failing -= {os.fspath(path), *map(str, Path(path).parents)}
        if self._failing:
            return
        gaps, self._gaps = self._gaps, {}
        self._known.clear()
        if self._told <= MOST_TOLD:
            self._say(f"{os.fspath(path)} can be written again; {_lacking(gaps)}")


def _has_space(path: Place) -> bool:
    """Whether the file system of a file has a free block; True where it does not say."""
    try:
        return os.statvfs(path if Path(path).is_dir() else Path(path).parent).f_bavail > 0
    except OSError:
        return True


def _lacking(gaps: Mapping[str, Gap]) -> str:
    said = [gap.described(name) for name, gap in gaps.items()]
    if len(said) > MOST_NAMED:
        said[MOST_NAMED:] = [f"records of {len(said) - MOST_NAMED} other files"]
    return f"missing: {', '.join(said)}" if said else "nothing is missing"
