"""Makes a command use the code in another tree of its repository instead of the repository itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from rldk.provenance.interpreters import InterpreterFacts


class CodeRedirect(Struct, frozen=True, kw_only=True):
    """`root`: the repository. `tree`: a folder with the files of one of its commits."""

    root: Path
    tree: Path

    def words(self, words: Sequence[str], cwd: Path) -> tuple[str, ...]:
        """The command with each absolute path of the repository replaced where the tree has such a file.

        A program of a virtual environment by a relative path, such as `.venv/bin/python`, is taken from where it is, as
        seen from `cwd`: no commit holds it."""
        made = [self._word(word) for word in words]
        if made and "/" in made[0] and not made[0].startswith("/"):
            there = cwd / made[0]
            made[0] = str(there) if (there.parent.parent / "pyvenv.cfg").is_file() else made[0]
        return tuple(made)

    def place(self, folder: Path) -> Path:
        """The folder of the tree that stands for a folder of the repository; the root of the tree where it has none."""
        found = self._inside(str(folder))
        return found if found is not None and found.is_dir() else self.tree

    def python_path(self, facts: InterpreterFacts, variables: Mapping[str, str] = os.environ) -> str | None:
        """A `PYTHONPATH` with which the interpreter imports the tree where it would import the repository: a folder on
        its path, or a package that is installed as a folder. None where it imports nothing of it."""
        found = list(dict.fromkeys(self._imported(facts)))
        if not found:
            return None
        return os.pathsep.join([*map(str, found), *filter(None, [variables.get("PYTHONPATH", "")])])

    def link(self, place: Path) -> bool:
        """Makes the tree have a link to a file or folder of the repository, where it lacks it. False where the place is
        outside of the repository, or nothing is there."""
        target = self._inside(os.path.normpath(place))
        if target is None or not place.exists():
            return False
        if not target.exists() and not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(place)
        return True

    def _imported(self, facts: InterpreterFacts) -> Iterator[Path]:
        for path in (*facts.paths, *facts.editable.values()):
            place = self._inside(path)
            if place is not None and place.is_dir():
                source = place / "src"
                yield from (source, place) if path in facts.editable.values() and source.is_dir() else (place,)

    def _word(self, word: str) -> str:
        name, sign, path = word.rpartition("=") if word.startswith("-") else ("", "", word)
        place = self._inside(path)
        return f"{name}{sign}{place}" if place is not None and place.exists() else word

    def _inside(self, path: str) -> Path | None:
        """The place in the tree for an absolute path of the repository; None for another path."""
        if not path.startswith("/"):
            return None
        for one in (Path(os.path.normpath(path)), Path(os.path.realpath(path))):
            if one.is_relative_to(self.root):
                return self.tree / one.relative_to(self.root)
        return None
