"""Keeps what a run's code has that no commit has: the changes, untracked files, and the commits of submodules."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.files import write_whole
from rldk.core.manifest import GitFile, GitState
from rldk.core.rundir import MANIFEST
from rldk.core.secrets.redact import without_credentials
from rldk.core.text import legible
from rldk.provenance.git import git_folder, submodules, work_tree
from rldk.provenance.git_command import ask_git, own_filters
from rldk.provenance.source_secrets import is_secret_file, redact_lines, secrets_in

CHANGES = "changes.diff"
UNTRACKED = "untracked"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # what a repository without a commit is compared with
MAX_PATHS = 200  # of changed files that are left out; beyond them no changes are kept
_SHAPE = (
    "--binary --full-index --no-ext-diff --no-textconv --no-color --no-renames --no-relative --submodule=short "
    "--ignore-submodules=dirty --src-prefix=a/ --dst-prefix=b/ --unified=3"
).split()
_POINTER = b"version https://git-lfs.github.com/spec/"


class KeepLimits(Struct, frozen=True, kw_only=True):
    """How much is kept. `file`: bytes of one file. `changes`: bytes of all changes. `untracked`: bytes of all untracked
    files together. `hashed`: bytes of a file up to which it has a digest. `files`: how many untracked files are listed.
    `seconds`: after so much time no further file is read."""

    file: int = 1 << 20
    changes: int = 16 << 20
    untracked: int = 32 << 20
    hashed: int = 64 << 20
    files: int = 2000
    seconds: float = 5.0


def keep_changes(folder: Path, into: Path, state: GitState, limits: KeepLimits | None = None) -> GitState:
    """The state with what no commit has. The changes are written to `changes.diff` in the run directory `into`, and
    small untracked files below `untracked/`.

    Secrets are taken out of the changes, and `redactions` counts them. An untracked file with a secret, a file for
    secrets such as `.env`, a link and a large file are listed with the reason and not kept. Files of run directories
    are not listed. The repository's own programs are not started. The function never fails: it leaves out what it
    cannot find or write."""
    limits = limits or KeepLimits()
    home, top = git_folder(folder), work_tree(folder)
    if home is None or top is None or not _is_at(top):
        return state
    keeping = _Keeping(top, into, limits, own_filters(top, home))
    made = replace(state, submodules=submodules(top) or None)
    if state.dirty is not False:
        made = keeping.changes(made)
    listed = keeping.untracked()
    left = (*keeping.left, *listed)
    return replace(made, untracked=left or None, redactions=keeping.redactions or None)


def _is_at(top: Path) -> bool:
    """Whether git takes that folder for the work tree: a repository may name another one, such as a home folder."""
    said = ask_git(top, "rev-parse", "--show-toplevel")
    return said is not None and os.path.realpath(os.fsdecode(said).rstrip("\n")) == os.path.realpath(top)


class _Keeping:
    """One pass over a repository."""

    def __init__(self, top: Path, into: Path, limits: KeepLimits, settings: tuple[str, ...]) -> None:
        self.top, self.into, self.limits, self.settings = top, into, limits, settings
        self.redactions = 0
        self.left: list[GitFile] = []
        self._until = time.monotonic() + limits.seconds
        self._room = limits.untracked

    def changes(self, state: GitState) -> GitState:
        """Writes the changes of tracked files."""
        base = state.sha or EMPTY_TREE
        said = self._ask("diff", "--numstat", "-z", *_SHAPE[1:], base)
        if not said:
            return state
        left = dict(self._not_shown(said, base))
        self.left += left.values()
        if len(left) > MAX_PATHS:
            return state
        apart = [f":(top,exclude,literal){os.fsdecode(name)}" for name in left]
        diff = self._ask("diff", *_SHAPE, base, "--", ".", *apart, most=self.limits.changes)
        if diff is None:
            reason = f"the changes could not be read, or are larger than {self.limits.changes >> 20} MiB together"
            self.left.append(GitFile(path=CHANGES, bytes=0, reason=reason))
            return state
        self.left += _pointers(diff)
        clean = self._redacted(diff)
        if not clean:
            return state
        try:
            write_whole(self.into / CHANGES, clean, parents=True)
        except OSError as error:
            self.left.append(GitFile(path=CHANGES, bytes=len(clean), reason=f"not written: {error.strerror}"))
            return state
        return replace(state, diff=CHANGES, diff_digest=f"sha256:{hashlib.sha256(clean).hexdigest()}")

    def untracked(self) -> Iterator[GitFile]:
        """The untracked files, each kept or with the reason why it is not."""
        said = self._ask("ls-files", "--others", "--exclude-standard", "-z")
        names = [name for name in (said or b"").split(b"\0") if name]
        runs: dict[Path, bool] = {}
        count = 0
        for name in names:
            path = self.top / os.fsdecode(name)
            if self._in_run(path, runs):
                continue
            count += 1
            if count > self.limits.files:
                reason = f"only the first {self.limits.files} of {len(names)} untracked files are listed"
                yield GitFile(path="...", bytes=0, reason=reason)
                return
            yield self._untracked_file(name, path)

    def _ask(self, *words: str, most: int = 64 << 20) -> bytes | None:
        return ask_git(self.top, *words, settings=self.settings, most=most)

    def _in_run(self, path: Path, known: dict[Path, bool]) -> bool:
        """Whether the file lies in the run directory that is written, or in another one."""
        for parent in path.parents:
            if parent == self.top:
                break
            if parent not in known:
                known[parent] = (parent / MANIFEST).is_file() or parent.resolve() == self.into.resolve()
            if known[parent]:
                return True
        return False

    def _not_shown(self, numstat: bytes, base: str) -> Iterator[tuple[bytes, GitFile]]:
        """The changed files whose changes are not kept, each with the reason."""
        for entry in numstat.split(b"\0"):
            added, _, rest = entry.partition(b"\t")
            name = rest.partition(b"\t")[2]
            if not name:
                continue
            path = self.top / os.fsdecode(name)
            reason = ""
            if is_secret_file(os.fsdecode(name)):
                reason = "a file for secrets"
                self.redactions += 1
            elif _size(path) > self.limits.file:
                reason = f"larger than {self.limits.file / (1 << 20):g} MiB"
            elif added == b"-" and (found := self._binary_secrets(name, path, base)):
                reason = "it holds what looks like a secret"
                self.redactions += found
            if reason:
                secret = "secret" in reason
                digest = None if secret else self._digest(path)
                yield name, GitFile(path=_shown(name), bytes=max(0, _size(path)), digest=digest, reason=reason)

    def _binary_secrets(self, name: bytes, path: Path, base: str) -> int:
        """The number of secrets in a binary file, as it is and as it was: its changes hold both, compressed."""
        now = _content(path, self.limits.file) or b""
        was = self._ask("cat-file", "blob", f"{base}:{os.fsdecode(name)}", most=self.limits.file) or b""
        return secrets_in(now) + secrets_in(was)

    def _redacted(self, diff: bytes) -> bytes:
        """The changes without secrets. Lines of a binary file are compressed, and stay as they are."""
        lines = diff.decode("utf-8", "surrogateescape").split("\n")
        made: list[str] = []
        text: list[str] = []
        binary = False
        for line in lines:
            if binary and not line.startswith("diff --git "):
                self._flush(text, made)
                made.append(line)
                continue
            binary = line == "GIT binary patch"
            if line.startswith("diff --git "):
                self._flush(text, made)
            text.append(line)
        self._flush(text, made)
        return "\n".join(made).encode("utf-8", "surrogateescape")

    def _flush(self, text: list[str], made: list[str]) -> None:
        for line, count in redact_lines(text):
            made.append(line)
            self.redactions += count
        text.clear()

    def _untracked_file(self, name: bytes, path: Path) -> GitFile:
        shown = _shown(name)
        try:
            found = path.lstat()
        except OSError as error:
            return GitFile(path=shown, bytes=0, reason=f"not read: {error.strerror}")
        size = found.st_size
        if stat.S_ISLNK(found.st_mode):
            return GitFile(path=shown, bytes=size, reason="a symbolic link")
        if not stat.S_ISREG(found.st_mode):
            what = "a repository or folder of its own" if stat.S_ISDIR(found.st_mode) else "no regular file"
            return GitFile(path=shown, bytes=0, reason=what)
        if is_secret_file(os.fsdecode(name)):
            self.redactions += 1
            return GitFile(path=shown, bytes=size, reason="a file for secrets")
        if time.monotonic() > self._until:
            return GitFile(path=shown, bytes=size, reason="not read: it took too long")
        if size > self.limits.file or size > self._room:
            most = self.limits.file if size > self.limits.file else self.limits.untracked
            reason = f"larger than {most / (1 << 20):g} MiB" if most == self.limits.file else "no room is left"
            return GitFile(path=shown, bytes=size, digest=self._digest(path), reason=reason)
        return self._copy(name, path, shown)

    def _copy(self, name: bytes, path: Path, shown: str) -> GitFile:
        data = _content(path, self.limits.file)
        if data is None:
            return GitFile(path=shown, bytes=max(0, _size(path)), reason="not read")
        if found := secrets_in(data):
            self.redactions += found
            return GitFile(path=shown, bytes=len(data), reason="it holds what looks like a secret")
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        told = GitFile(path=shown, bytes=len(data), digest=digest)
        if shown.encode() != name or ".." in PurePosixPath(shown).parts:
            return replace(told, reason="its name is no plain text")
        try:
            write_whole(self.into / UNTRACKED / shown, data, parents=True)
        except (OSError, ValueError) as error:
            return replace(told, reason=f"not written: {getattr(error, 'strerror', None) or error}")
        self._room -= len(data)
        return replace(told, kept=True)

    def _digest(self, path: Path) -> str | None:
        if _size(path) > self.limits.hashed or time.monotonic() > self._until:
            return None
        data = _content(path, self.limits.hashed)
        return None if data is None else f"sha256:{hashlib.sha256(data).hexdigest()}"


def _content(path: Path, most: int) -> bytes | None:
    """The bytes of a regular file, not through a link; None when it cannot be read or is larger than `most`."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    with open(handle, "rb") as stream:  # noqa: PTH123 - a descriptor
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            data = stream.read(most + 1)
        except OSError:
            return None
    return data if len(data) <= most else None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return -1


def _shown(name: bytes) -> str:
    return without_credentials(legible(name.decode("utf-8", "replace")))


def _pointers(diff: bytes) -> Iterator[GitFile]:
    """The files of Git LFS among the changes, which hold only a pointer to the new content."""
    for section in diff.split(b"\ndiff --git "):
        if _POINTER not in section:
            continue
        values = {
            line[1:].partition(b" ")[0]: line[1:].partition(b" ")[2]
            for line in section.split(b"\n")
            if line.startswith((b"+oid ", b"+size "))
        }
        name = next((line[6:] for line in section.split(b"\n") if line.startswith(b"+++ b/")), b"")
        oid, size = values.get(b"oid", b""), values.get(b"size", b"0")
        if name and oid.startswith(b"sha256:"):
            digest = oid.decode("ascii", "replace")
            reason = "kept by Git LFS: the changes hold its pointer"
            yield GitFile(path=_shown(name), bytes=int(size) if size.isdigit() else 0, digest=digest, reason=reason)
