"""Hashes the code of a run again: what was kept of it, the commit in a repository, and the work tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rldk.cards.words import plural
from rldk.core.audit.outcome import CheckOutcome, OutcomeStatus, named_places
from rldk.core.manifest import GitState, Script
from rldk.errors import InputError, UnreadableSource, UsageError
from rldk.provenance.git_objects import LFS, LINK, CommitFile, blob_name, contents, git_output
from rldk.provenance.git_patch import patched
from rldk.provenance.hashing import file_sha256
from rldk.provenance.inside import is_plain_file, place_inside
from rldk.provenance.places import recorded_place
from rldk.provenance.recorded_code import RecordedCode, is_intact, recorded_code, redacted_paths


def code_outcomes(folder: Path, state: GitState, places: list[Path], *, work_tree: bool) -> Iterator[CheckOutcome]:
    """The outcomes for the code of the run in `folder`. `work_tree`: also compares the files of the repository."""
    try:
        code = recorded_code(folder, state, places)
        yield from _kept(code)
        yield from _commit(code)
        if work_tree:
            yield _work_tree(code)
    except InputError as error:
        yield _outcome("repository", "failed", error.message)
    except OSError as error:
        yield _outcome("repository", "failed", f"{error.filename} cannot be read: {error.strerror}")
    except UsageError as error:
        yield _outcome("repository", "not_checked", f"needs git: {error.message}")


def script_outcome(script: Script, root: Path) -> CheckOutcome:
    """Whether the script that was started has the content that it had."""
    place = recorded_place(script.path, root)
    if place is None:
        return _outcome("script", "not_checked", f"needs {script.path}, which is not there")
    if place.is_file() and file_sha256(place) == script.sha256:
        return _outcome("script", "passed", f"{script.path}, sha256")
    return _outcome("script", "failed", "the script that was started was changed", [script.path])


def _kept(code: RecordedCode) -> Iterator[CheckOutcome]:
    """What the run directory itself keeps."""
    if code.patch is not None:
        name = code.state.diff or ""
        if code.state.diff_digest is None:
            yield _outcome("changes", "not_checked", f"needs the digest of {name}, which was not recorded")
        elif is_intact(code.patch, code.state.diff_digest):
            yield _outcome("changes", "passed", f"{name}, as it was written")
        else:
            gone = "is gone" if not code.patch.exists() else "was changed"
            yield _outcome("changes", "failed", f"the kept changes are not what was recorded: {name} {gone}", [name])
    kept = list(code.kept())
    wrong = [file.path for file, place in kept if not is_intact(place, file.digest)]
    if wrong:
        yield _outcome("kept files", "failed", "kept files of no commit are not what was recorded", wrong)
    elif kept:
        yield _outcome("kept files", "passed", f"{len(kept):,} that were in no commit")


def _commit(code: RecordedCode) -> Iterator[CheckOutcome]:
    """Whether a repository has the commit with all of its files."""
    sha = code.state.sha
    if sha is None:
        return
    if code.repository is None or code.commit is None:
        yield _outcome("commit", "not_checked", f"needs a repository with the commit {sha[:12]}: give --repo DIR")
        return
    try:
        count = sum(1 for _ in contents(code.repository, code.commit.files))
    except UnreadableSource as error:
        yield _outcome("commit", "failed", error.message)
        return
    yield _outcome("commit", "passed", f"{sha[:12]} in {code.repository}, {plural(count, 'file')}")
    if code.commit.submodules:
        count = len(code.commit.submodules)
        yield _outcome("submodules", "not_checked", f"needs {count:,} other repositories: their files are not read")


def _work_tree(code: RecordedCode) -> CheckOutcome:
    """Whether the files of the repository are those that ran: the commit with the changes, and those of no commit."""
    if code.repository is None or code.commit is None:
        return _outcome("work tree", "not_checked", "needs the repository: give --repo DIR")
    root = code.repository
    files = {file.path: file for file in code.commit.files}
    changed: dict[str, bytes | None] = {}
    unknown = {file.path for file in code.lost() if file.digest is None}
    if code.patch is not None and is_plain_file(code.patch):
        changed, refused = patched(root, files, code.patch)
        unknown |= {*refused, *redacted_paths(code.patch.read_bytes())}
    elif code.state.dirty:
        return _outcome("work tree", "not_checked", "needs the changes that no commit had: they were not kept")
    others = {file.path: file.digest for file in code.state.untracked or () if file.digest is not None}
    wrong = []
    for path in sorted({*files, *changed, *others} - unknown):
        place = place_inside(root, path)
        if path in others:
            same = is_intact(place, others[path])
        elif path in changed:
            same = _content(place) == changed[path]
        else:
            same = _is_file_of(place, files[path], code)
        if not same:
            wrong.append(f"{path} {'was changed' if place.exists() or place.is_symlink() else 'is gone'}")
    left = f"; not compared, because their content was not kept: {len(unknown):,}" if unknown else ""
    if wrong:
        message = f"the files in {root} are not those that ran (rldk restore brings those back){left}"
        return _outcome("work tree", "failed", message, wrong)
    return _outcome(
        "work tree", "passed", f"{plural(len({*files, *changed, *others} - unknown), 'file')} in {root}{left}"
    )


def _is_file_of(place: Path, file: CommitFile, code: RecordedCode) -> bool:
    """Whether the file has the content of the commit. Line ends that a check-out converts and files that Git LFS
    brings count as the same."""
    if file.mode == LINK:
        return place.is_symlink() and blob_name(bytes(place.readlink()), len(file.blob)) == file.blob
    data = _content(place)
    if data is None:
        return False
    if blob_name(data, len(file.blob)) == file.blob:
        return True
    if b"\r\n" in data and blob_name(data.replace(b"\r\n", b"\n"), len(file.blob)) == file.blob:
        return True
    return code.repository is not None and file.bytes < 1024 and _is_lfs(place, file, code.repository)


def _is_lfs(place: Path, file: CommitFile, repository: Path) -> bool:
    pointer = git_output(repository, "cat-file", "blob", file.blob, limit=1024)
    if not pointer.startswith(LFS):
        return False
    oid = next((line[4:] for line in pointer.decode("ascii", "replace").split("\n") if line.startswith("oid ")), None)
    return is_intact(place, oid)


def _content(place: Path) -> bytes | None:
    return place.read_bytes() if is_plain_file(place) else None


def _outcome(name: str, status: OutcomeStatus, message: str, places: list[str] | None = None) -> CheckOutcome:
    shown, more = named_places(places or [])
    return CheckOutcome(part="code", name=name, status=status, message=message, places=shown, more=more)
