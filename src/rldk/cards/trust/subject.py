"""What a card says of a run: where it is, what wrote it, and what it records of seed, code, data and packages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rldk.cards.trust.facts import CardSubject
from rldk.core.manifest import Manifest, read_manifest
from rldk.core.model import Run
from rldk.engine.compare.records import DECISIVE
from rldk.errors import InputError


def subject_of(run: Run, source: Any, role: str = "run", record: Manifest | None = None) -> CardSubject:
    """The run as a card names it. `source`: as the user gave it. `record`: its manifest, where it was already read."""
    record = record or manifest_beside(run, source)
    git, meta, table = record.git, run.meta, run.metrics
    packages = record.packages or meta.packages
    return CardSubject(
        role=role,
        source=str(source) if isinstance(source, str | os.PathLike) else f"{type(source).__name__} in memory",
        run=run.id,
        format=meta.format,
        framework=meta.framework,
        algorithm=meta.algorithm,
        rows=len(table),
        first_step=int(table.step.min()) if len(table) else None,
        last_step=int(table.step.max()) if len(table) else None,
        seed=record.seed if record.seed is not None else meta.seed,
        commit=(git.sha if git is not None else None) or meta.git_sha,
        changed_code=git.dirty if git is not None else None,
        data={name: one.fingerprint for name, one in record.datasets.items()},
        packages={name: packages[name] for name in DECISIVE if name in packages},
    )


def manifest_beside(run: Run, source: Any) -> Manifest:
    """The manifest of the run; an empty one where it has none, or none that can be read."""
    if not isinstance(source, str | os.PathLike):
        return Manifest()
    folder = Path(run.source)
    try:
        return read_manifest(folder if folder.is_dir() else folder.parent) or Manifest()
    except InputError:
        return Manifest()
