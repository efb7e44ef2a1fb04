"""How a tracked run begins: its directory, what an earlier part of it said, and the first manifest."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from rldk.core.manifest import Manifest, continued, read_manifest, this_process, timestamp
from rldk.core.secrets.redact import without_secrets
from rldk.emit import rank_path
from rldk.errors import UsageError
from rldk.provenance.capture import with_command
from rldk.provenance.fingerprints.digest import hash_maker
from rldk.tracking.code import code_state, record_code
from rldk.tracking.config import TrackingConfig, plain_config
from rldk.tracking.environment import record_environment
from rldk.tracking.folders import new_folder, word

_KEPT = ("datasets", "models", "tokenizers", "seeds", "seed")  # until a later part of the run says otherwise


def check_config(config: TrackingConfig) -> None:
    """Raises `UsageError` for a configuration with which nothing can begin."""
    if not isinstance(config.experiment_name, str) or not config.experiment_name.strip():
        raise UsageError("experiment_name is empty", hint='TrackingConfig(experiment_name="my-first-run")')
    named = config.experiment_id
    if named is not None and (not isinstance(named, str) or word(named) != named):
        raise UsageError(
            f"experiment_id {named!r} is no name of a directory", hint="use letters, digits, and . _ = + - within them"
        )
    if isinstance(config.tags, str) or not all(isinstance(tag, str) for tag in config.tags):
        raise UsageError("tags must be a list of texts", hint='tags=["baseline", "seed-sweep"]')
    if not isinstance(config.metadata, Mapping):
        raise UsageError(f"metadata is a {type(config.metadata).__name__}", hint="give a mapping")
    for algorithm in (config.dataset_checksum_algorithm, config.model_fingerprint_algorithm):
        hash_maker(algorithm)


def run_folder(config: TrackingConfig) -> Path:
    """The directory of the run: that of the given id, which may exist, or a new one. Raises `OSError`."""
    home = Path(config.output_dir)
    if config.experiment_id is None:
        return new_folder(home, word(without_secrets(config.experiment_name)))
    folder = home / config.experiment_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def first_manifest(config: TrackingConfig, folder: Path, rank: int) -> Manifest:
    """The manifest of a run that begins, or goes on where an earlier process of the same id has stopped.

    Raises as `read_manifest` does."""
    given = Manifest(
        run_id=config.experiment_id or folder.absolute().name,
        name=without_secrets(config.experiment_name),
        status="running",
        started_at=timestamp(),
        process=this_process(),
        rank=rank or None,
        tags=clean_tags(config.tags),
        notes=None if config.notes is None else without_secrets(config.notes),
        metadata=plain_config(config.metadata),
    )
    earlier = read_manifest(folder, rank_path("run.json", rank).name)
    begun = _with_earlier(continued(given, earlier), earlier)
    known = with_command(begun, sys.orig_argv)
    environment, packages = record_environment(config, known.script)
    git = None
    if config.enable_git_tracking:
        git = code_state() if rank else record_code(folder)  # the ranks share a directory: one keeps the changes
    return replace(known, environment=environment, packages=packages, git=git)


def clean_tags(*groups: object) -> tuple[str, ...]:
    """All tags, each once and without secrets."""
    tags = [without_secrets(str(tag)) for group in groups if isinstance(group, list | tuple) for tag in group]
    return tuple(dict.fromkeys(tags))


def _with_earlier(manifest: Manifest, earlier: Manifest | None) -> Manifest:
    if earlier is None:
        return manifest
    return replace(
        manifest,
        **{name: getattr(earlier, name) for name in _KEPT},
        tags=clean_tags(earlier.tags, manifest.tags),
        notes=joined_notes(earlier.notes, manifest.notes),
        metadata={**earlier.metadata, **manifest.metadata},
        config=earlier.config,
    )


def joined_notes(before: str | None, more: str | None) -> str | None:
    """Both notes, one below the other; a note that is there is not repeated."""
    lines = [text for text in (before, more) if text]
    return "\n".join(lines[:1] if len(lines) == 2 and lines[1] in lines[0].split("\n") else lines) or None
