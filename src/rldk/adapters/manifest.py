"""The manifest of a run directory, `run.json`, read into a run's metadata."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.core.manifest import GitState, Manifest, read_manifest
from rldk.core.model import Run
from rldk.core.rundir import RunDirectory
from rldk.core.secrets.redact import redact
from rldk.errors import InputError


def with_manifest(run: Run, folder: Path) -> Run:
    """The run with the name, configuration, seed, commit, environment and packages that `folder/run.json` states.

    What the log says itself stays. No manifest, or one that cannot be read, changes nothing."""
    found = _manifest(folder)
    if found is None:
        return run
    meta = run.meta
    return replace(
        run,
        id=_text(found.run_id, found.other.get("id"), found.name) or run.id,
        meta=replace(
            meta,
            config={**redact(found.config), **meta.config},
            environment={**redact(found.environment), **meta.environment},
            packages={**found.packages, **meta.packages},
            seed=meta.seed if meta.seed is not None else _seed(found),
            git_sha=meta.git_sha or _commit(found),
            files=(*meta.files, str(RunDirectory(folder).manifest)),
        ),
    )


def configuration(folder: Path) -> dict[str, Any]:
    """The configuration that `folder/run.json` gives, empty without one."""
    found = _manifest(folder)
    return {} if found is None else redact(found.config)


def _manifest(folder: Path) -> Manifest | None:
    """The manifest; None without one, and with a warning where it belongs to a log of rldk and cannot be read.

    Other tools write files of this name, too, which may be anything, a log for one."""
    try:
        found = read_manifest(folder)
    except InputError as error:
        if RunDirectory(folder).metrics.exists():
            warnings.warn(f"the manifest is not used: {error.message}", stacklevel=2)
        return None
    return None if found == Manifest(schema_version=None) else found


def _seed(found: Manifest) -> int | None:
    seeds = _mapping(found.seeds or found.other.get("seeds"))
    return next((s for s in (found.seed, seeds.get("seed"), seeds.get("global")) if type(s) is int), None)


def _commit(found: Manifest) -> str | None:
    git = found.git or GitState()
    return _text(found.other.get("git_sha"), git.sha, _mapping(found.other.get("git")).get("commit"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(*values: object) -> str | None:
    """The first that is a text and not empty."""
    return next((value for value in values if isinstance(value, str) and value), None)
