"""The code of a run as its record has it: the files of the commit, the changes, and files that were in no commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from rldk.core.manifest import GitFile, GitState
from rldk.core.secrets.redact import REDACTED
from rldk.errors import MalformedInput
from rldk.provenance.git_objects import Commit, commit_of, repository_with, sure_sha
from rldk.provenance.hashing import file_digest, split_digest
from rldk.provenance.inside import is_plain_file, place_inside

UNTRACKED = "untracked"


class RecordedCode(Struct, frozen=True, kw_only=True):
    """The code of the run in `folder`. `repository`: one that has the commit, None where there is none. `commit`: its
    files; None without a repository. `patch`: the changes, None where there are none."""

    folder: Path
    state: GitState
    repository: Path | None
    commit: Commit | None
    patch: Path | None

    def kept(self) -> Iterator[tuple[GitFile, Path]]:
        """The files of no commit whose content the run keeps, and where. Raises `MalformedInput` for a path that leads
        outside."""
        for file in self.state.untracked or ():
            if file.kept:
                yield file, place_inside(self.folder / UNTRACKED, file.path)

    def lost(self) -> list[GitFile]:
        """The files of no commit, and changes, whose content the run does not keep."""
        return [file for file in self.state.untracked or () if not file.kept]


def recorded_code(folder: Path, state: GitState, places: list[Path]) -> RecordedCode:
    """The code that a manifest describes. `places`: where a repository may be, the first that has the commit counts.

    Raises `MalformedInput` for a manifest whose names lead outside or are options, `UnreadableSource` for a damaged
    repository."""
    repository = commit = patch = None
    if state.sha is not None:
        sure_sha(state.sha)
        repository = repository_with(state.sha, places)
        commit = commit_of(repository, state.sha) if repository is not None else None
    if state.diff is not None:
        patch = place_inside(folder, state.diff)
    return RecordedCode(folder=folder, state=state, repository=repository, commit=commit, patch=patch)


def is_intact(path: Path, digest: str | None) -> bool:
    """Whether the file has the content that its record says."""
    if digest is None or not is_plain_file(path):
        return False
    algorithm, digits = split_digest(digest)
    if algorithm not in hashlib.algorithms_available:
        raise MalformedInput(f"{digest[:80]!r} is a digest of an unknown kind")
    return file_digest(path, algorithm) == digits


def redacted_paths(patch: bytes) -> tuple[str, ...]:
    """The files of a patch in whose new lines a secret was taken out."""
    found: dict[str, None] = {}
    path = ""
    for line in patch.decode("utf-8", "replace").split("\n"):
        if line.startswith("+++ "):
            path = line[4:].strip('"').removeprefix("b/").rstrip("\t")
        elif line.startswith("+") and REDACTED in line and path:
            found[path] = None
    return tuple(found)
