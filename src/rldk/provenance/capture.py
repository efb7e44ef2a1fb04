"""Adds to the manifest of a run where the run came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.core.manifest import GitState, Manifest, Script
from rldk.core.secrets.redact import redact, without_secrets
from rldk.provenance.environment import environment
from rldk.provenance.git import git_state
from rldk.provenance.hashing import file_sha256
from rldk.provenance.lock_files import lock_files
from rldk.provenance.packages import installed

MAX_WORD = 1000
MAX_WORDS = 500
MAX_SCRIPT = 16 << 20


def with_origin(
    manifest: Manifest, argv: Sequence[str], folder: Path | None = None, *, keep_in: Path | None = None
) -> Manifest:
    """The manifest with the command, the script, the commit, the packages and the environment of this process.

    `folder`: the folder whose repository is recorded; by default the current one. `keep_in`: the run directory that
    keeps what is in no commit. Secrets are removed from `argv`. The function never fails: it leaves out what it cannot
    find."""
    known = with_command(manifest, argv)
    return replace(
        known,
        git=code_of(folder or Path(), keep_in),
        environment=environment_of(known.script, folder),
        packages=installed(),
    )


def code_of(folder: Path, keep_in: Path | None = None) -> GitState | None:
    """The state of the repository that holds `folder`, None outside of one. `keep_in`: the run directory that keeps
    what is in no commit, without secrets."""
    state = git_state(folder)
    if state is None or keep_in is None:
        return state
    from rldk.provenance.git_changes import keep_changes

    return keep_changes(folder, keep_in, state)


def environment_of(script: Script | None, folder: Path | None = None) -> dict[str, Any]:
    """The environment, with the lock files of `folder`, by default that of the script, or else the current
    one."""
    pins = lock_files(folder or (Path(script.path).parent if script else Path()))
    return {**environment(), **({"lock_files": pins} if pins else {})}


def with_command(manifest: Manifest, argv: Sequence[str]) -> Manifest:
    """The manifest with the command, without secrets, the script, and the directory that both are seen from."""
    return replace(manifest, command=_command(argv), cwd=_cwd(), script=_script(argv))


def _cwd() -> str | None:
    try:
        return without_secrets(str(Path.cwd()))
    except OSError:  # it was removed
        return None


def _command(argv: Sequence[str]) -> tuple[str, ...]:
    clean: dict[str, Any] = redact({"argv": list(argv[:MAX_WORDS])})
    return tuple(str(word)[:MAX_WORD] for word in clean["argv"])


def _script(argv: Sequence[str]) -> Script | None:
    """The first word that is a script, with its digest: a script may lie outside of any repository."""
    try:
        path = next((Path(word) for word in argv if word.endswith((".py", ".sh")) and Path(word).is_file()), None)
        if path is None or path.stat().st_size > MAX_SCRIPT:
            return None
        return Script(path=str(path), sha256=file_sha256(path))
    except (OSError, ValueError):
        return None
