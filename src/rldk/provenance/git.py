"""The commit that a folder is at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rldk.core.manifest import GitState
from rldk.core.secrets.redact import without_secrets
from rldk.core.text import later, legible
from rldk.provenance.git_command import ask_git, own_filters

MAX_BYTES = 4 << 20  # of a file below .git
MAX_SUBMODULES = 200
_SHA = later(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ADDRESS = later(r"([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?([^?#]*).*", re.IGNORECASE | re.DOTALL)


def git_state(folder: Path) -> GitState | None:
    """The commit, branch and remote of the repository that holds `folder`, and whether a tracked file differs from it.

    It is None outside of a repository. Where the git program is missing or takes too long, it has only what the files
    of `.git` say."""
    home = git_folder(folder)
    if home is None:
        return None
    # a submodule is asked on its own, because its configuration may name programs, too
    words = ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty")
    said = _asked(folder, *words, settings=own_filters(folder, home))
    if said is None:
        return read_head(home)
    lines = said.splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and " " in line[2:])
    sha, branch = heads.get("branch.oid"), heads.get("branch.head")
    remote = _asked(folder, "config", "--get", "remote.origin.url")
    return GitState(
        sha=sha if sha and _SHA.fullmatch(sha) else None,  # "(initial)" before the first commit
        branch=branch if branch != "(detached)" else None,
        dirty=any(not line.startswith("#") for line in lines) or _inner_dirty(folder),
        remote=public_address(remote.strip()) if remote and remote.strip() else None,
    )


def submodules(top: Path) -> dict[str, str]:
    """The commits that the submodules of the work tree `top` are at, by path; "" for one that is not there."""
    if not (top / ".gitmodules").is_file():
        return {}
    listed = ask_git(top, "ls-files", "--stage", "-z") or b""
    found: dict[str, str] = {}
    for entry in listed.split(b"\0"):
        head, _, name = entry.partition(b"\t")
        if head.startswith(b"160000 ") and len(found) < MAX_SUBMODULES:
            path = legible(name.decode("utf-8", "replace"))
            home = git_folder(top / path) if (top / path / ".git").exists() else None
            state = None if home is None else read_head(home)
            found[path] = (state.sha if state else None) or ""
    return found


def _inner_dirty(folder: Path) -> bool:
    """Whether a submodule has changes of its own."""
    top = work_tree(folder)
    inner = () if top is None else (git_state(top / path) for path, sha in submodules(top).items() if sha)
    return any(state is not None and bool(state.dirty) for state in inner)


def public_address(remote: str) -> str:
    """The address of a remote without user, password, query and whatever else looks like a credential."""
    found = _ADDRESS.fullmatch(remote)
    if found is not None:
        return without_secrets(found[1] + found[2])
    user, at, rest = remote.partition("@")
    return without_secrets(remote if not at or user == "git" or "/" in user else rest)


def _asked(folder: Path, *words: str, settings: tuple[str, ...] = ()) -> str | None:
    """What git prints, as text; None if it fails."""
    said = ask_git(folder, *words, settings=settings)
    return None if said is None else said.decode("utf-8", "replace")


def work_tree(folder: Path) -> Path | None:
    """The folder that holds `.git`: `folder` or the nearest one above it; None outside of a repository."""
    with suppress(OSError, ValueError):
        resolved = folder.resolve()
        return next((place for place in (resolved, *resolved.parents) if (place / ".git").exists()), None)
    return None


def git_folder(folder: Path) -> Path | None:
    """The `.git` folder of the repository; for a work tree, the folder that its `.git` file names."""
    with suppress(OSError, ValueError):
        place = work_tree(folder)
        if place is not None:
            found = place / ".git"
            if found.is_dir():
                return found
            if found.is_file():
                text = _text(found)
                return place / text.removeprefix("gitdir:").strip() if text.startswith("gitdir:") else None
    return None


def read_head(home: Path) -> GitState | None:
    """The commit and the branch from the files of `.git`."""
    head = _text(home / "HEAD").strip()
    reference = head.removeprefix("ref:").strip()
    if reference == head:
        return GitState(sha=head) if _SHA.fullmatch(head) else None
    sha = next((sha for sha in _recorded(home, reference) if _SHA.fullmatch(sha)), None)
    return GitState(sha=sha, branch=reference.removeprefix("refs/heads/"))


def _recorded(home: Path, reference: str) -> Iterator[str]:
    """What is recorded for a reference: in a file of its own, or in the table of packed ones."""
    shared = _text(home / "commondir").strip()  # a work tree has its branches in the repository that it belongs to
    homes = (home, home / shared) if shared else (home,)
    for place in homes:
        if ".." not in Path(reference).parts and not Path(reference).is_absolute():
            yield _text(place / reference).strip()
        for line in _text(place / "packed-refs").splitlines():
            sha, _, name = line.partition(" ")
            if name == reference:
                yield sha


def _text(path: Path) -> str:
    """The text of a small file, empty when there is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
