"""The run that is to be replayed: what it logged, and what its record says."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from rldk.adapters.open import open_run
from rldk.core.manifest import Manifest, read_manifest
from rldk.core.model import Run
from rldk.errors import UnreadableSource
from rldk.provenance.places import recorded_root


class OriginalRun(Struct, frozen=True, kw_only=True):
    """`path`: as the user named it. `run`: what was logged. `record`: the manifest, None for a run that rldk has not
    recorded. `folder`: its directory; the folder of the log where it is a file. `started`: the folder that the command
    was started in, as far as the record says it, else the current one."""

    path: Path
    run: Run
    record: Manifest | None
    folder: Path
    started: Path

    @property
    def seed(self) -> int | None:
        """The seed that the run was started with, by its record, its log or its command; None where none says it."""
        said = self.record.seed if self.record is not None else None
        if said is None:
            said = self.run.meta.seed
        return said if said is not None else _seed_in(self.record.command if self.record is not None else ())


def _seed_in(words: Sequence[str]) -> int | None:
    """The seed in a command that has one: `--seed 3`, `--seed=3` or `seed=3`."""
    found = {m[1] for m in re.finditer(r"(?:^| )(?:--)?seed[= ](\d{1,10})(?= |$)", " ".join(words), re.IGNORECASE)}
    return int(found.pop()) if len(found) == 1 else None


def original_run(path: str | os.PathLike[str]) -> OriginalRun:
    """The run in `path`: a run directory, or any log that rldk reads. Raises `InputError`."""
    place = Path(path)
    if not place.exists():
        raise UnreadableSource(f"cannot read {place}: there is no such file or folder")
    folder = place if place.is_dir() else place.parent
    record = read_manifest(place) if place.is_dir() else None
    if record is not None and record.schema_version is None and record.git is None:
        record = None  # a run.json of somebody else
    run = open_run(place)
    started = recorded_root(record).resolve() if record is not None else Path.cwd()
    return OriginalRun(path=place, run=run, record=record, folder=folder.resolve(), started=started)
