"""Reads `run.json`, the manifest of an rldk run directory, into the metadata of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.core.manifest import NAME, read_manifest
from rldk.core.model import Run
from rldk.core.redact import redact


def with_manifest(run: Run, folder: Path) -> Run:
    """The run with the name, configuration, seed, commit and environment that `folder/run.json` states.

    A value that the log states wins. A missing manifest, or one that is not an object, changes nothing."""
    data = read_manifest(folder)
    if data is None:
        return run
    meta = run.meta
    name = next((data[k] for k in ("run_id", "id", "name") if isinstance(data.get(k), str) and data[k]), run.id)
    return replace(
        run,
        id=name,
        meta=replace(
            meta,
            config={**redact(_mapping(data.get("config"))), **meta.config},
            environment={**redact(_mapping(data.get("environment"))), **meta.environment},
            seed=meta.seed if meta.seed is not None else _seed(data),
            git_sha=meta.git_sha or _commit(data),
            files=(*meta.files, str(folder / NAME)),
        ),
    )


def configuration(folder: Path) -> dict[str, Any]:
    """The configuration that `folder/run.json` states; empty without a manifest."""
    return dict(redact(_mapping((read_manifest(folder) or {}).get("config"))))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _seed(data: Mapping[str, Any]) -> int | None:
    seeds = _mapping(data.get("seeds"))
    found = next((s for s in (data.get("seed"), seeds.get("seed"), seeds.get("global")) if type(s) is int), None)
    return found if found is None else int(found)


def _commit(data: Mapping[str, Any]) -> str | None:
    git = _mapping(data.get("git"))
    found = next((s for s in (data.get("git_sha"), git.get("sha"), git.get("commit")) if isinstance(s, str)), None)
    return found or None
