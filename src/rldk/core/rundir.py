"""A run directory: the names of the files in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from rldk.core.text import later

MANIFEST = "run.json"
METRICS = "metrics.jsonl"
PRINTED = "stdout.txt"
ALERTS = "alerts.jsonl"
REPORT = "report.json"
PAGE = "report.html"
CARDS = "cards"
SAMPLES = "samples-*.jsonl"
WRITER = ".writer"  # the process that tracks a run holds a lock on it; nobody else makes such a file
SEEDS = "seeds.json"
# what a tracker keeps beside the log
KEPT_FOLDERS = frozenset({"datasets", "models", "untracked", "snapshots"})
_KEPT_FILES = later(
    r"\.writer(?:\.rank\d+)?|run\.yaml|run\.rank\d+\.(?:json|yaml)|seeds(?:\.rank\d+)?\.json"
    r"|changes\.(?:diff|patch)|lineage\.jsonl"
)
# a directory that holds one of these is a run directory
MARKS = frozenset({MANIFEST, METRICS, ALERTS, REPORT})


def is_kept(name: str) -> bool:
    """Whether a tracker writes a file of this name beside the log of its run."""
    return _KEPT_FILES.fullmatch(name) is not None


class RunDirectory(Struct, frozen=True):
    """Where each file of the run in `path` is, whether it exists or not. All but `cards` are files."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST

    @property
    def metrics(self) -> Path:
        """The log that the training appends to, one JSON line for each step; in a distributed run, the log of rank
        0."""
        return self.path / METRICS

    @property
    def printed(self) -> Path:
        """What the command of `rldk run` printed. New output is appended, because a command may be started again."""
        return self.path / PRINTED

    @property
    def alerts(self) -> Path:
        return self.path / ALERTS

    @property
    def report(self) -> Path:
        return self.path / REPORT

    @property
    def page(self) -> Path:
        return self.path / PAGE

    @property
    def cards(self) -> Path:
        return self.path / CARDS

    def samples(self) -> Iterator[Path]:
        """The files of per-sample records, by name."""
        yield from sorted(self.path.glob(SAMPLES))
