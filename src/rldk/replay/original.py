"""The run that is to be replayed: what it logged, and what its record says."""

from __future__ import annotations

import os
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
        """The seed that the run was started with, by its record or its log; None where neither says it."""
        said = self.record.seed if self.record is not None else None
        return said if said is not None else self.run.meta.seed


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
