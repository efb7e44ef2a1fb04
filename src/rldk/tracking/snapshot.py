"""What a run stands on at a moment: its code, packages and machine, compared with its start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.codec import to_json
from rldk.core.manifest import GitState, Manifest, timestamp
from rldk.provenance.git import git_state
from rldk.tracking.config import TrackingConfig
from rldk.tracking.environment import record_environment
from rldk.tracking.record import RunRecord


class Snapshot(Struct, frozen=True, kw_only=True):
    """The code, the environment and the packages at a moment. `changes`: what is no longer as it was at the start, in
    words. `file`: the file of the run directory that keeps it; None when it could not be written."""

    at: str
    git: GitState | None
    environment: dict[str, Any]
    packages: dict[str, str]
    changes: tuple[str, ...]
    file: str | None = None


def take_snapshot(config: TrackingConfig, record: RunRecord) -> Snapshot:
    """Looks at code, environment and packages again, and keeps what it finds in `snapshots/`."""
    environment, packages = record_environment(config, record.manifest.script)
    git = git_state(Path()) if config.enable_git_tracking else None
    changes = tuple(_changes(record.manifest, git, environment, packages))
    made = Snapshot(at=timestamp(), git=git, environment=environment, packages=packages, changes=changes)
    folder = record.folder / "snapshots"
    number = 1 + sum(1 for _ in folder.glob("*.json"))
    file = record.keep(f"{record.stem('snapshots', f'{number:04}')}.json", to_json(made, indent=1))
    return replace(made, file=file)


def _changes(
    start: Manifest, git: GitState | None, environment: Mapping[str, Any], packages: Mapping[str, str]
) -> Iterator[str]:
    before, now = start.git or GitState(), git or GitState()
    if before.sha != now.sha:
        yield f"the commit was {_short(before.sha)} and is {_short(now.sha)}"
    if now.dirty and not before.dirty:
        yield "tracked files have changed since the commit"
    for key in sorted(start.environment.keys() | environment.keys()):
        if start.environment.get(key) != environment.get(key):
            yield f"{key} was {start.environment.get(key)} and is {environment.get(key)}"
    for name in sorted(start.packages.keys() | packages.keys()):
        if start.packages.get(name) != packages.get(name):
            yield f"package {name} was {start.packages.get(name, 'absent')} and is {packages.get(name, 'absent')}"


def _short(sha: str | None) -> str:
    return "unknown" if sha is None else sha[:12]
