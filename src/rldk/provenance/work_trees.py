"""Detached work trees of a repository's commits, made without writing anything to that repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rldk.errors import OutputError, UnreadableSource, UsageError
from rldk.provenance.git_objects import TIMEOUT_S, git_output, git_variables, has_commit, sure_sha

MAX_TEXT = 1 << 20
# No hook of the user's template, no program and no network; pointers of Git LFS stay pointers.
_QUIET = (
    "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never",
    "-c", "gc.auto=0", "-c", "advice.detachedHead=false", "-c", "submodule.recurse=false",
)  # fmt: skip


class CodeTrees:
    """Work trees of commits of `repository`, attached to an empty repository in `home` that borrows its objects.

    The user's work tree, index, stash, branches and the folder `.git` are only read. A program in such a tree sees a
    repository at a detached commit. Submodules and what Git LFS keeps are not fetched."""

    def __init__(self, repository: Path, home: Path) -> None:
        self.root = repository_root(repository)
        self._store = home / "objects.git"
        if not (self._store / "HEAD").exists():
            self._make()

    def _make(self) -> None:
        shared = Path(_text(self.root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
        kind = _text(self.root, "rev-parse", "--show-object-format")
        self._store.parent.mkdir(parents=True, exist_ok=True)
        _git("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(self._store))
        borrowed = self._store / "objects" / "info"
        borrowed.mkdir(parents=True, exist_ok=True)
        (borrowed / "alternates").write_text(f"{shared / 'objects'}\n", encoding="utf-8", errors="surrogateescape")
        if (shared / "shallow").is_file():
            shutil.copyfile(shared / "shallow", self._store / "shallow")

    def add(self, sha: str, place: Path) -> None:
        """Makes the work tree of a commit at `place`, which must not exist.

        Raises `UnreadableSource` when the commit is not there or cannot be checked out."""
        if not has_commit(self._store, sure_sha(sha)):
            raise UnreadableSource(f"{self.root} does not have the commit {sha}", hint="fetch it, or give --repo DIR")
        place.parent.mkdir(parents=True, exist_ok=True)
        _git("-C", str(self._store), "worktree", "add", "--detach", "--force", "--quiet", str(place), sha)

    def remove(self, place: Path) -> None:
        """Removes a work tree with everything in it, and what the store knows of it."""
        shutil.rmtree(place, ignore_errors=True)
        _git("-C", str(self._store), "worktree", "prune", "--expire=now")

    @contextmanager
    def tree(self, sha: str, place: Path) -> Iterator[Path]:
        """The work tree of a commit while the block runs."""
        self.add(sha, place)
        try:
            yield place
        finally:
            self.remove(place)


def repository_root(folder: Path) -> Path:
    """The root of the work tree that holds `folder`. Raises `UnreadableSource` outside of a repository."""
    try:
        return Path(_text(folder, "rev-parse", "--show-toplevel"))
    except UnreadableSource as error:
        hint = "give the folder of a git repository"
        raise UnreadableSource(f"{folder} is in no git repository ({error.message})", hint=hint) from None


def commit_named(repository: Path, name: str) -> str:
    """The full name of the commit that a branch, a tag or a part of a name stands for. Raises `UsageError`."""
    if name.startswith("-") or not name.strip():
        raise UsageError(f"{name!r} is no name of a commit")
    try:
        found = _text(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return sure_sha(found)
    except UnreadableSource:
        raise UsageError(f"the repository has no commit {name!r}", hint="`git log --oneline` lists them") from None


def _text(folder: Path, *words: str) -> str:
    return os.fsdecode(git_output(folder, *words, limit=MAX_TEXT)).rstrip("\n")


def _git(*words: str) -> None:
    """Runs git with an environment of its own. Raises `UnreadableSource` and `OutputError`."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and checked names
            ["git", *_QUIET, *words],  # noqa: S607 - the git of the user
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env=git_variables() | {"GIT_LFS_SKIP_SMUDGE": "1"},
        )
    except FileNotFoundError:
        raise UsageError("git is not installed", hint="install git") from None
    except OSError as error:
        raise OutputError.of("a work tree", error) from None
    except subprocess.TimeoutExpired:
        raise UnreadableSource(f"git did not end within {TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UnreadableSource(f"git cannot make a work tree: {said[-1] if said else 'it gave no reason'}")
