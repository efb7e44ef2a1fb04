"""A check of this installation: Python, the packages rldk needs, the optional ones, the places it writes to."""

from __future__ import annotations

import importlib
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from msgspec import Struct

from rldk import __version__
from rldk.core.configuration.versions import canonical, reaches
from rldk.core.text import later
from rldk.core.view import Commands, Section, Table, Tone, View
from rldk.provenance.packages import version_of

DISTRIBUTION = "rldk"
FOR_DEVELOPERS = frozenset({"dev", "integrations", "all"})  # extras that no user misses
_MODULES = {"pyyaml": "yaml"}  # of packages that are imported by another name
# a name, extras of it, a bound (the lower one counts), and the extra of rldk that needs it
_NEED = later(r"([\w.-]+)\s*(?:\[[^\]]*\])?\s*(?:[>=]=\s*([\w.!+]+))?[^;]*(?:;.*?\bextra\s*==\s*['\"]([\w-]+)['\"])?")
_PYTHON = later(r">=\s*([\d.]+)")


class PackageState(Struct, frozen=True, kw_only=True):
    """A package that is needed. `version`: the installed one, or None. `least`: the lower bound. `problem`: what is
    wrong."""

    name: str
    version: str | None
    least: str = ""
    problem: str = ""


class Extra(Struct, frozen=True, kw_only=True):
    """An optional part. `install`: the command that completes it, empty when nothing is missing."""

    name: str
    packages: tuple[PackageState, ...]
    install: str = ""


class WrittenPlace(Struct, frozen=True, kw_only=True):
    """A folder that is written to."""

    what: str
    path: str
    problem: str = ""


class Installation(Struct, frozen=True, kw_only=True):
    """What was checked. `problems`: what keeps rldk from working; a missing extra is none."""

    rldk: str
    python: PackageState
    packages: tuple[PackageState, ...]
    extras: tuple[Extra, ...]
    places: tuple[WrittenPlace, ...]
    problems: tuple[str, ...]


def check_installation(requirements: Sequence[str] | None = None) -> Installation:
    """Checks this installation. `requirements`: in the form that a distribution declares; by default those of rldk."""
    declared = _declared() if requirements is None else requirements
    wanted: dict[str, list[tuple[str, str]]] = {}
    for found in filter(None, map(_NEED.match, declared or ())):
        wanted.setdefault(found[3] or "", []).append((canonical(found[1]), found[2] or ""))
    packages = tuple(_package(name, least) for name, least in wanted.pop("", ()))
    extras = tuple(_extra(name, needs) for name, needs in sorted(wanted.items()) if name not in FOR_DEVELOPERS)
    python = _python()
    places = (
        _place("temporary files", Path(tempfile.gettempdir())),
        _place("cache", Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())),
    )
    problems = [f"{each.name}: {each.problem}" for each in (python, *packages) if each.problem]
    problems += [f"{place.path}: {place.problem}" for place in places if place.problem]
    if declared is None:
        problems.append("rldk is not installed as a package: its dependencies are not known")
    return Installation(
        rldk=__version__, python=python, packages=packages, extras=extras, places=places, problems=tuple(problems)
    )


def view_of(checked: Installation) -> View:
    """The check as every renderer shows it."""
    wrong = len(checked.problems)
    tone: Tone = "critical" if wrong else "ok"
    needs = (checked.python, *checked.packages)
    missing = [extra.install for extra in checked.extras if extra.install]
    sections = [
        Section(title="Packages", parts=(Table(heads=("package", "version", "at least", "state"), rows=_rows(needs)),)),
        Section(
            title="Extras",
            parts=(
                Table(
                    heads=("extra", "packages", "state"),
                    rows=tuple(
                        (
                            extra.name,
                            ", ".join(f"{need.name} {need.version or '-'}" for need in extra.packages),
                            "not complete" if extra.install else "fine",
                        )
                        for extra in checked.extras
                    ),
                ),
            ),
        ),
        Section(
            title="Places",
            parts=(
                Table(
                    heads=("what", "path", "state"),
                    rows=tuple((place.what, place.path, place.problem or "fine") for place in checked.places),
                ),
            ),
        ),
    ]
    if missing:
        sections.append(Section(title="To complete the extras", parts=(Commands(lines=tuple(missing)),)))
    works = f"rldk {checked.rldk} is installed and works."
    return View(
        kind="installation",
        title="This installation",
        tone=tone,
        badge="BROKEN" if wrong else "FINE",
        banner=f"rldk {checked.rldk} does not work here: {'; '.join(checked.problems)}." if wrong else works,
        sections=tuple(sections),
    )


def _rows(needs: Sequence[PackageState]) -> tuple[tuple[str, ...], ...]:
    return tuple((need.name, need.version or "-", need.least or "-", need.problem or "fine") for need in needs)


def _declared() -> Sequence[str] | None:
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None


def _python() -> PackageState:
    version = platform.python_version()
    try:
        said: Mapping[str, str] = metadata.metadata(DISTRIBUTION)  # type: ignore[assignment]
        bound = _PYTHON.search(said["Requires-Python"] or "")
    except (metadata.PackageNotFoundError, KeyError):
        bound = None
    least = bound[1] if bound else ""
    return PackageState(name="python", version=version, least=least, problem=_too_old(version, least))


def _package(name: str, least: str) -> PackageState:
    """The state of a package that rldk cannot work without, which must also be importable."""
    version = version_of(name)
    if version is None:
        return PackageState(name=name, version=None, least=least, problem="not installed")
    problem = _too_old(version, least)
    try:
        importlib.import_module(_MODULES.get(name, name))
    except (ImportError, OSError) as error:
        problem = problem or f"cannot be imported ({type(error).__name__})"
    return PackageState(name=name, version=version, least=least, problem=problem)


def _extra(name: str, needs: Sequence[tuple[str, str]]) -> Extra:
    packages = []
    for package, least in needs:
        version = version_of(package)
        problem = "not installed" if version is None else _too_old(version, least)
        packages.append(PackageState(name=package, version=version, least=least, problem=problem))
    complete = not any(need.problem for need in packages)
    install = "" if complete else f'pip install --upgrade "{DISTRIBUTION}[{name}]"'
    return Extra(name=name, packages=tuple(packages), install=install)


def _too_old(version: str, least: str) -> str:
    return f"older than {least}" if least and not reaches(version, least) else ""


def _place(what: str, path: Path) -> WrittenPlace:
    """Whether a file can be created in the folder or, if the folder does not exist, in the nearest one above it."""
    at = next((place for place in (path, *path.parents) if place.is_dir()), path)
    try:
        with tempfile.TemporaryFile(dir=at):
            return WrittenPlace(what=what, path=str(path))
    except OSError as error:
        return WrittenPlace(what=what, path=str(path), problem=f"cannot be written ({error.strerror or error})")
