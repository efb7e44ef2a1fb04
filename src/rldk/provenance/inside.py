"""Paths that a file names and that must stay inside of a folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rldk.errors import MalformedInput

MOST = 4096  # characters of a path; the limit of Linux


def relative_path(text: str) -> PurePosixPath:
    """The path in `text`, with "/" between its parts. Raises `MalformedInput` for one that is absolute, empty, leads
    outside by "..", or into a `.git` folder, where a file could make git start programs."""
    path = PurePosixPath(text)
    parts = text.split("/")
    strange = not text or len(text) > MOST or "\0" in text or path.is_absolute()
    if strange or any(part in ("", ".", "..") or part.rstrip(". ").lower() in (".git", "git~1") for part in parts):
        raise MalformedInput(f"{text[:200]!r} is no path inside of a folder", hint="the file that names it is damaged")
    return path


def place_inside(root: Path, text: str) -> Path:
    """The place of the relative path `text` below `root`. Raises `MalformedInput` as `relative_path` does, and where
    one of its folders is a link, which may lead outside."""
    place = root
    parts = relative_path(text).parts
    for number, part in enumerate(parts):
        place /= part
        if number < len(parts) - 1 and place.is_symlink():
            raise MalformedInput(f"{text[:200]!r} leads through the link {place}", hint="links are not followed")
    return place


def is_plain_file(path: Path) -> bool:
    """Whether the path is a regular file and no link: a pipe would be waited for, and a link may lead anywhere."""
    return path.is_file() and not path.is_symlink()
