"""The commit that a folder is at."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rldk.core.manifest import GitState
from rldk.core.redact import without_secrets
from rldk.core.text import later

TIMEOUT_S = 3.0  # of one call: a huge repository on a network drive must not hold up a training
MAX_BYTES = 4 << 20  # of a file below .git
_SHA = later(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ADDRESS = later(r"([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?([^?#]*).*", re.IGNORECASE | re.DOTALL)


def git_state(folder: Path) -> GitState | None:
    """The commit, branch and remote of the repository that holds `folder`, and whether a tracked file differs from it.

    It is None outside of a repository. Where the git program is missing or takes too long, it has only what the files
    of `.git` say."""
    home = _git_folder(folder)
    if home is None:
        return None
    said = _asked(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=none")
    if said is None:
        return _read_head(home)
    lines = said.splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and " " in line[2:])
    sha, branch = heads.get("branch.oid"), heads.get("branch.head")
    remote = _asked(folder, "config", "--get", "remote.origin.url")
    return GitState(
        sha=sha if sha and _SHA.fullmatch(sha) else None,  # "(initial)" before the first commit
        branch=branch if branch != "(detached)" else None,
        dirty=any(not line.startswith("#") for line in lines),
        remote=public_address(remote.strip()) if remote and remote.strip() else None,
    )


def public_address(remote: str) -> str:
    """The address of a remote without user, password, query and whatever else looks like a credential."""
    found = _ADDRESS.fullmatch(remote)
    if found is not None:
        return without_secrets(found[1] + found[2])
    user, at, rest = remote.partition("@")
    return without_secrets(remote if not at or user == "git" or "/" in user else rest)


def _asked(folder: Path, *words: str) -> str | None:
    """What git prints; None if it fails. The call neither writes to the repository nor starts a monitor that it
    configures."""
    argv = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", os.fspath(folder), *words]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {"LC_ALL": "C"}  # no other GIT_DIR
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False, env=variables
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _git_folder(folder: Path) -> Path | None:
    """The `.git` folder of the repository; for a work tree, the folder that its `.git` file names."""
    with suppress(OSError, ValueError):
        resolved = folder.resolve()
        for place in (resolved, *resolved.parents):
            found = place / ".git"
            if found.is_dir():
                return found
            if found.is_file():
                text = _text(found)
                return place / text.removeprefix("gitdir:").strip() if text.startswith("gitdir:") else None
    return None


def _read_head(home: Path) -> GitState | None:
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
