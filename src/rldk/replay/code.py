"""The code of a replay: the recorded commit in a detached work tree, with the changes and files that no commit had."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from rldk.core.manifest import GitState
from rldk.errors import InputError, UnreadableSource, UsageError
from rldk.provenance.git_objects import LFS
from rldk.provenance.git_patch import apply_patch
from rldk.provenance.inside import is_plain_file, place_inside
from rldk.provenance.recorded_code import RecordedCode, is_intact, recorded_code, redacted_paths
from rldk.provenance.redirect import CodeRedirect
from rldk.provenance.work_trees import CodeTrees
from rldk.replay.original import OriginalRun

MAX_POINTER = 1024  # bytes of a file that stands for one that Git LFS keeps
TREE, STORE = "tree", "store"


class ReplayCode(Struct, frozen=True, kw_only=True):
    """Where the command finds its code. `tree`: the root of the work tree; the current folder where the record names no
    commit. `root`: the repository that it stands for, None without one. `commit`: None without one. `lacking`: what the
    record does not hold; None without a record of the code."""

    tree: Path
    root: Path | None = None
    commit: str | None = None
    lacking: tuple[str, ...] | None = None


@contextmanager
def replay_code(original: OriginalRun, repository: Path | None, home: Path) -> Iterator[ReplayCode]:
    """The code of the run while the block runs; the work tree in `home` is removed at its end.

    Raises `UnreadableSource` where the commit is not found, and `InputError` where the recorded code cannot be
    restored: then nothing can be replayed."""
    state = original.record.git if original.record is not None else None
    if state is None or state.sha is None:
        yield ReplayCode(tree=original.started)
        return
    places = [repository] if repository is not None else [original.folder, original.started, Path()]
    code = recorded_code(original.folder, state, places)
    if code.repository is None:
        hint = "give the repository with --repo DIR, after `git fetch` if the commit is not there"
        raise UnreadableSource(f"no repository that has the commit {state.sha} was found", hint=hint)
    trees, tree = CodeTrees(code.repository, home / STORE), home / TREE
    try:
        with trees.tree(state.sha, tree):
            lacking = tuple(dict.fromkeys(_with_changes(code, state, tree)))
            yield ReplayCode(tree=tree, root=trees.root, commit=state.sha, lacking=lacking)
    finally:
        shutil.rmtree(home / STORE, ignore_errors=True)


def _with_changes(code: RecordedCode, state: GitState, tree: Path) -> Iterator[str]:
    """Puts in what no commit had, and yields what the record does not hold."""
    if code.commit is not None:
        yield from (f"{path} (a submodule)" for path in code.commit.submodules)
        small = [file.path for file in code.commit.files if 0 < file.bytes < MAX_POINTER]
        yield from (f"{path} (Git LFS keeps it)" for path in small if _is_pointer(tree / path))
    if code.patch is not None:
        if state.diff_digest is None or not is_intact(code.patch, state.diff_digest):
            raise InputError(f"{code.patch} is not what was recorded", hint="`rldk verify RUN` says more")
        refused = apply_patch(tree, code.patch)
        if refused:
            path, why = next(iter(refused.items()))
            raise InputError(f"the recorded changes do not fit the commit: {path}: {why}")
        yield from (f"{path} (a secret was taken out)" for path in redacted_paths(code.patch.read_bytes()))
    elif state.dirty:
        yield "changes that no commit had"
    for file, kept in code.kept():
        if not is_intact(kept, file.digest):
            raise InputError(f"the kept file {file.path} is not what was recorded", hint="`rldk verify RUN` says more")
        place = place_inside(tree, file.path)
        if place.is_symlink() or place.is_dir():
            raise InputError(f"the kept file {file.path} is in the place of a link or a folder of the commit")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, place)
    yield from (file.path for file in code.lost())


def _is_pointer(path: Path) -> bool:
    if not is_plain_file(path):
        return False
    with path.open("rb") as stream:
        return stream.read(len(LFS)) == LFS


def link_inputs(code: ReplayCode, original: OriginalRun, more: Sequence[str] = ()) -> None:
    """Links inputs that the record names and that no commit holds into the work tree, at the places where the program
    looks for them. `more`: other files and folders, relative to where the run was started.

    Raises `UsageError` for one of these that is not there, or not in the repository."""
    if code.root is None or original.record is None:
        return
    records = (original.record.datasets, original.record.models, original.record.tokenizers)
    sources = [one.source for part in records for one in part.values()]
    tree = CodeRedirect(root=code.root, tree=code.tree)
    for source in sources:
        if source and "\0" not in source:
            tree.link(original.started / source)
    for source in more:
        if not tree.link(original.started / source):
            hint = f"name a file or folder in {code.root} that no commit has"
            raise UsageError(f"{source} cannot be linked into the work tree", hint=hint)
