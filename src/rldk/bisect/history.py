"""The commits, or the versions of a package, among which the first bad one is looked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rldk.core.text import later, legible
from rldk.errors import UnreadableSource, UsageError
from rldk.provenance.git_objects import git_output
from rldk.provenance.work_trees import commit_named

MAX_COMMITS = 5000
MAX_LISTING = 64 << 20
INDEX_S = 120.0
_PACKAGE = later(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?")


class SearchSpace(Struct, frozen=True, kw_only=True):
    """`good`: the end that must be good. `names`: the candidates, the oldest first; the last is the bad end.
    `contains`: (names, names), True where the column's candidate is part of the row's. `subjects`: a line about each
    candidate."""

    good: str
    names: tuple[str, ...]
    contains: NDArray[np.bool_]
    subjects: Mapping[str, str] = field(default_factory=dict)

    @property
    def bad(self) -> str:
        """The end that must be bad."""
        return self.names[-1]


def commits_between(root: Path, good: str, bad: str, *, first_parent: bool = False) -> SearchSpace:
    """The commits that `bad` has and `good` does not. `first_parent`: only those of the main line.

    Raises `UsageError` for a name that is none, for ends in the wrong order, and for too many commits."""
    first, last = commit_named(root, good), commit_named(root, bad)
    if first == last:
        raise UsageError(f"{good} and {bad} are the same commit", hint="the bad commit comes after the good one")
    if not _is_ancestor(root, first, last):
        swapped = _is_ancestor(root, last, first)
        hint = "swap them" if swapped else f"test `git merge-base {good} {bad}` first: both come from it"
        raise UsageError(f"{good} is no ancestor of {bad}", hint=hint)
    words = ["rev-list", "--topo-order", "--reverse", "--parents", *(["--first-parent"] if first_parent else [])]
    listing = git_output(root, *words, f"{first}..{last}", limit=MAX_LISTING).decode()
    rows = [line.split() for line in listing.splitlines()]
    if len(rows) > MAX_COMMITS:
        hint = "give a later good commit, or --first-parent"
        raise UsageError(f"there are {len(rows):,} commits between both, more than {MAX_COMMITS:,}", hint=hint)
    names = tuple(row[0] for row in rows)
    place = {name: number for number, name in enumerate(names)}
    contains = np.eye(len(names), dtype=np.bool_)
    for number, row in enumerate(rows):
        for parent in row[1:2] if first_parent else row[1:]:
            if parent in place:
                contains[number] |= contains[place[parent]]
    return SearchSpace(good=first, names=names, contains=contains, subjects=_subjects(root, first, last))


def versions_between(package: str, versions: str | Sequence[str]) -> SearchSpace:
    """The versions of a package, the oldest first. `versions`: "A..B" for all that pip finds from A to B, or the
    versions themselves, separated by commas or as a list.

    Raises `UsageError` for a name that is none and for fewer than two versions, `UnreadableSource` when pip finds
    none."""
    if not _PACKAGE.fullmatch(package):
        raise UsageError(f"{package!r} is no name of a package")
    if isinstance(versions, str) and ".." in versions:
        first, _, last = (word.strip() for word in versions.partition(".."))
        known = _published(package)
        for version in (first, last):
            if version not in known:
                hint = f"pip finds {', '.join(known[-5:])}" if known else "name the versions one by one, with commas"
                raise UsageError(f"pip finds no {package} {version}", hint=hint)
        chosen = known[known.index(first) : known.index(last) + 1]
    else:
        listed = versions.split(",") if isinstance(versions, str) else versions
        chosen = [version.strip() for version in listed if version.strip()]
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise UsageError("name two or more versions, the good one first", hint='--versions "1.0..1.4" or "1.0,1.2,1.4"')
    names = tuple(chosen[1:])
    return SearchSpace(good=chosen[0], names=names, contains=np.tril(np.ones((len(names),) * 2, dtype=np.bool_)))


def _published(package: str) -> list[str]:
    """The versions that pip finds, the oldest first, where its own configuration says that packages are."""
    argv = [sys.executable, "-m", "pip", "index", "versions", "--json", "--disable-pip-version-check", package]
    plain = [word for word in argv if word != "--json"]
    for words in (argv, plain):  # older ones have no --json
        try:
            done = subprocess.run(  # noqa: S603 - fixed words and a checked name
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=INDEX_S, check=False, text=True
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreadableSource(f"pip cannot be asked for the versions of {package}: {error}") from None
        if done.returncode == 0:
            return _read_versions(done.stdout)
    said = done.stderr.strip().splitlines()
    raise UnreadableSource(
        f"pip does not know the versions of {package}: {said[-1][:300] if said else 'it gave no reason'}",
        hint="name the versions one by one: --versions 1.0,1.1,1.2",
    )


def _read_versions(text: str) -> list[str]:
    """What `pip index versions` printed, the newest first, as a list with the oldest first."""
    try:
        told = json.loads(text)
        found = [str(version) for version in told["versions"]]
    except (ValueError, KeyError, TypeError):
        line = next((line for line in text.splitlines() if line.startswith("Available versions:")), "")
        found = [version.strip() for version in line.partition(":")[2].split(",") if version.strip()]
    return found[::-1]


def _is_ancestor(root: Path, first: str, last: str) -> bool:
    try:
        git_output(root, "merge-base", "--is-ancestor", first, last, limit=100)
    except UnreadableSource:
        return False
    return True


def _subjects(root: Path, first: str, last: str) -> dict[str, str]:
    """The first line of the message of each commit, with its date and author."""
    shape = "%H%x00%ad%x00%an%x00%s"
    listing = git_output(root, "log", "--no-show-signature", f"--format={shape}", "--date=short", f"{first}..{last}",
                         limit=MAX_LISTING)  # fmt: skip
    found = {}
    for line in os.fsdecode(listing).splitlines():
        sha, date, author, subject = [*line.split("\0"), "", "", ""][:4]
        found[sha] = legible(f"{date} {author[:40]}: {subject[:120]}")
    return found
