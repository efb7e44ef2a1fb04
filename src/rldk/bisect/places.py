"""Where a commit or a version is run: a detached work tree, or an environment with that version of a package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.engine.replicas.command import CommandTemplate
from rldk.errors import UsageError
from rldk.provenance.interpreters import (
    InterpreterFacts,
    environment_variables,
    interpreter_facts,
    interpreter_of,
    make_environment,
)
from rldk.provenance.redirect import CodeRedirect
from rldk.provenance.work_trees import CodeTrees

TREE, STORE, ENVIRONMENTS = "tree", "store", "environments"


class BisectPlace(Struct, frozen=True, kw_only=True):
    """`cwd`: where commands start. `own`: nothing else uses that folder. `variables`: of their environment."""

    cwd: Path
    own: bool
    variables: Mapping[str, str | None] = field(default_factory=dict)

    def template(self, template: CommandTemplate) -> CommandTemplate:
        """The command as it is written for this place."""
        return template


class TreePlace(BisectPlace, frozen=True, kw_only=True):
    """A work tree. `redirect`: from the repository to it. `started`: the folder of the repository that we are in."""

    redirect: CodeRedirect
    started: Path

    def template(self, template: CommandTemplate) -> CommandTemplate:
        """The command with the paths of the repository replaced by those of the tree."""
        return replace(template, words=self.redirect.words(template.words, self.started))


class PythonPlace(BisectPlace, frozen=True, kw_only=True):
    """An environment. `python`: its interpreter."""

    python: Path

    def template(self, template: CommandTemplate) -> CommandTemplate:
        """The command with the interpreter of the environment."""
        if not Path(template.words[0]).name.startswith("python"):
            return template
        return replace(template, words=(str(self.python), *template.words[1:]))


class BisectPlaces(Protocol):
    """Makes the place of a commit or a version, and clears it away."""

    def make(self, name: str, folder: Path) -> BisectPlace:
        """The place. Raises `InputError` when it cannot be made: the commit or version is then skipped."""

    def clear(self, folder: Path) -> None:
        """Removes what `make` has put into the folder of a run."""


class CommitPlaces:
    """Work trees of the repository around `started`. `link`: files and folders of no commit that each tree has, too."""

    def __init__(self, started: Path, home: Path, template: CommandTemplate | None, link: Sequence[str]) -> None:
        shutil.rmtree(home / STORE, ignore_errors=True)  # of a bisection that was killed
        self._trees, self._started, self._link = CodeTrees(started, home / STORE), started, tuple(link)
        self._facts = _facts(template, started)

    def make(self, name: str, folder: Path) -> BisectPlace:
        """A work tree of the commit. Raises `InputError`."""
        tree = folder / TREE
        self._trees.add(name, tree)
        redirect = CodeRedirect(root=self._trees.root, tree=tree)
        for path in self._link:
            if not redirect.link(self._started / path):
                hint = f"name a file or folder in {self._trees.root} that no commit has"
                raise UsageError(f"{path} cannot be linked into the work tree", hint=hint)
        variables: dict[str, str | None] = {}
        path_of = None if self._facts is None else redirect.python_path(self._facts)
        if path_of is not None:
            variables["PYTHONPATH"] = path_of
        cwd = redirect.place(self._started)
        return TreePlace(cwd=cwd, own=True, variables=variables, redirect=redirect, started=self._started)

    def clear(self, folder: Path) -> None:
        """Removes the work tree of a run."""
        self._trees.remove(folder / TREE)


class VersionPlaces:
    """Environments with a version of a package each, beside the packages of the interpreter that the command starts.

    They are kept in `home` for further runs of the same version."""

    def __init__(self, package: str, started: Path, home: Path, template: CommandTemplate | None) -> None:
        self._package, self._started, self._home = package, started, home / ENVIRONMENTS
        facts = _facts(template, started)
        if facts is None:
            raise UsageError("the command does not start with python", hint="versions of a package need a Python")
        self._python = facts.executable

    def make(self, name: str, folder: Path) -> BisectPlace:  # noqa: ARG002 - the signature is of the protocol
        """An environment with the version. Raises `InputError` when pip cannot install it."""
        place = self._home / name.replace("/", "_")
        done = place / ".complete"
        if not done.exists():
            shutil.rmtree(place, ignore_errors=True)
            make_environment(place, {self._package: name}, beside=self._python, python=self._python)
            done.touch()
        python = place / "bin" / "python"
        return PythonPlace(cwd=self._started, own=False, variables=environment_variables(python), python=python)

    def clear(self, folder: Path) -> None:
        """Keeps the environment."""


def _facts(template: CommandTemplate | None, started: Path) -> InterpreterFacts | None:
    python = None if template is None else interpreter_of(template.words, started)
    return None if python is None else interpreter_facts(python)
