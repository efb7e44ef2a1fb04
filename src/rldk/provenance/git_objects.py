"""The files of a commit, read from the objects of a repository: no work tree, no filters, no hooks, no network."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from rldk.core.text import later
from rldk.errors import MalformedInput, UnreadableSource, UsageError
from rldk.provenance.inside import relative_path

SHA = later(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LFS = b"version https://git-lfs.github.com/spec/v1\n"
MAX_LISTING = 256 << 20  # of the names of a commit
MAX_FILE = 1 << 30
TIMEOUT_S = 600.0  # of one call; nothing here waits for a network
LINK, SUBMODULE, PROGRAM = "120000", "160000", "100755"


class CommitFile(Struct, frozen=True, kw_only=True):
    """A file of a commit. `mode`: as git writes it; `blob`: the name of its content."""

    path: str
    mode: str
    blob: str
    bytes: int = 0


class Commit(Struct, frozen=True, kw_only=True):
    """The files of a commit. `submodules`: commit by path; their files are in other repositories."""

    sha: str
    files: tuple[CommitFile, ...]
    submodules: dict[str, str]


def commit_of(repository: Path, sha: str) -> Commit:
    """The files of the commit. Raises `MalformedInput` for a name that is no full SHA or a path that leads outside,
    `UnreadableSource` when the repository does not have the commit."""
    listing = git_output(repository, "ls-tree", "-r", "-l", "-z", "--full-tree", sure_sha(sha), limit=MAX_LISTING)
    files, modules = [], {}
    for line in filter(None, listing.split(b"\0")):
        about, _, name = line.partition(b"\t")
        mode, kind, blob, size = about.decode("ascii", "replace").split()
        path = os.fsdecode(name)
        relative_path(path)
        if kind == "commit":
            modules[path] = blob
        else:
            files.append(CommitFile(path=path, mode=mode, blob=blob, bytes=int(size) if size.isdecimal() else 0))
    return Commit(sha=sha, files=tuple(files), submodules=modules)


def has_commit(repository: Path, sha: str) -> bool:
    """Whether the repository has the commit itself."""
    try:
        return git_output(repository, "cat-file", "-t", sure_sha(sha), limit=100).strip() == b"commit"
    except UnreadableSource:
        return False


def repository_with(sha: str, places: Iterable[Path]) -> Path | None:
    """The root of the first repository that holds one of the places and has the commit."""
    for place in places:
        try:
            root = Path(os.fsdecode(git_output(place, "rev-parse", "--show-toplevel", limit=1 << 16).rstrip(b"\n")))
        except UnreadableSource:
            continue
        if has_commit(root, sha):
            return root
    return None


def contents(repository: Path, files: Iterable[CommitFile]) -> Iterator[tuple[CommitFile, bytes]]:
    """Each file with its content, whose name is checked. Files above `MAX_FILE` are passed over. Raises
    `UnreadableSource` when an object is missing or damaged."""
    wanted = [file for file in files if file.bytes <= MAX_FILE]
    if not wanted:
        return
    with subprocess.Popen(  # noqa: S603 - fixed words
        _command(repository, "cat-file", "--batch"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=git_variables(),
    ) as process:
        asked, answer = process.stdin, process.stdout
        if asked is None or answer is None:
            return
        try:
            for file in wanted:
                asked.write(sure_sha(file.blob).encode() + b"\n")
                asked.flush()
                head = answer.readline().split()  # "SHA missing" has no content after it
                data = answer.read(int(head[2]) + 1)[:-1] if len(head) == 3 and head[1] == b"blob" else None
                if data is None or blob_name(data, len(file.blob)) != file.blob:
                    raise UnreadableSource(
                        f"{file.path}: its content {file.blob} is missing from {repository}, or damaged",
                        hint="`git fsck` says more; fetch the commit again",
                    )
                yield file, data
        except BrokenPipeError:
            raise UnreadableSource(f"git ended while it read {repository}") from None
        finally:
            process.kill()


def blob_name(data: bytes | memoryview, digits: int = 40) -> str:
    """The name that git gives to a content. `digits`: 40 for SHA-1, 64 for SHA-256."""
    made = hashlib.sha1(usedforsecurity=False) if digits == 40 else hashlib.sha256()
    made.update(b"blob %d\0" % len(data))
    made.update(data)
    return made.hexdigest()


def sure_sha(sha: str) -> str:
    """The text, when it is the full name of an object. Raises `MalformedInput` for anything else, such as an option."""
    if not SHA.fullmatch(sha):
        raise MalformedInput(f"{sha[:80]!r} is no full name of a commit", hint="run.json is damaged, or not of rldk")
    return sha


def git_output(folder: Path, *words: str, limit: int) -> bytes:
    """What git prints, at most `limit` bytes. Raises `UnreadableSource` when it fails or prints more, `UsageError`
    where there is no git."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            _command(folder, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env=git_variables(),
        )
    except FileNotFoundError:
        raise UsageError("git is not installed", hint="install git: the code of a run is in a repository") from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UnreadableSource(f"git cannot read {folder}: {error}") from None
    if done.returncode != 0 or len(done.stdout) > limit:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UnreadableSource(f"git cannot read {folder}: {said[-1] if said else 'it printed too much'}")
    return done.stdout


def _command(folder: Path, *words: str) -> list[str]:
    safe = ["-c", "core.fsmonitor=false", "-c", "protocol.allow=never", "-c", "core.quotePath=false"]
    return ["git", "--no-optional-locks", "--no-replace-objects", *safe, "-C", os.fspath(folder), *words]


def git_variables() -> dict[str, str]:
    """The environment without another GIT_DIR, and without fetching what a partial clone lacks."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {"LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
