"""The runs of a bisection on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from rldk.bisect.predicate import OutcomeWord
from rldk.core.codec import to_builtins
from rldk.core.files import save
from rldk.errors import MalformedInput, OutputError, UsageError

SCHEMA_VERSION = 1
STATE, LOCK, RUNS = "bisect.json", ".lock", "runs"
MAX_BYTES = 64 << 20


class BisectRun(Struct, frozen=True, kw_only=True):
    """One run. `name`: of the commit or version. `end`: "good" or "bad" for a run of an end. `value`: of the metric.
    `reason`: why it was skipped. `folder`: its output, below the folder of the bisection."""

    name: str
    word: OutcomeWord
    end: str = ""
    value: float | None = None
    reason: str = ""
    seconds: float = 0.0
    folder: str = ""


class BisectState:
    """The runs so far of the bisection that `question` describes, in `home`."""

    def __init__(self, home: Path, question: dict[str, Any], *, fresh: bool = False) -> None:
        self.home, self._question = home, question
        self.runs: list[BisectRun] = []
        if fresh:
            (home / STATE).unlink(missing_ok=True)
            shutil.rmtree(home / RUNS, ignore_errors=True)
        else:
            self._load()
        self.earlier = len(self.runs)

    def add(self, run: BisectRun) -> None:
        """Keeps a run. It is on the disk when this returns."""
        self.runs.append(run)
        self._save()

    def drop_last(self) -> None:
        """Forgets the last run."""
        self.runs.pop()
        self._save()

    def _save(self) -> None:
        data = {"schema_version": SCHEMA_VERSION, "question": self._question, "runs": to_builtins(self.runs)}
        save(self.home / STATE, json.dumps(data, indent=1) + "\n")

    def _load(self) -> None:
        path = self.home / STATE
        if not path.is_file():
            return
        hint = "give another --output-dir, or --fresh to begin again"
        try:
            if path.stat().st_size > MAX_BYTES:
                raise MalformedInput(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint=hint)
            data = json.loads(path.read_bytes())
            if data["question"] != self._question:
                raise UsageError(f"{path} belongs to another bisection", hint=hint)
            self.runs = msgspec.convert(data["runs"], list[BisectRun])
        except (ValueError, KeyError, TypeError, RecursionError, msgspec.ValidationError) as error:
            raise MalformedInput(f"{path} cannot be read: {error}", hint=hint) from None


def default_home(question: dict[str, Any]) -> Path:
    """The folder in the user's cache for this bisection: the same question has the same folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
    return cache / "rldk" / f"bisect-{digest}"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Holds the folder while the block runs. Raises `UsageError` when another process does, `OutputError` when it
    cannot be made."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        stream = (home / LOCK).open("w")
    except OSError as error:
        raise OutputError.of(home, error) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another bisection uses {home}", hint="wait for it, or give another --output-dir"
            ) from None
        yield
