"""Python interpreters other than ours: what is installed in one, and a new environment with given packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import util
from pathlib import Path

from msgspec import Struct, field

from rldk.core.configuration.versions import canonical
from rldk.core.text import later
from rldk.errors import UnreadableSource

PROBE_S = 60.0
INSTALL_S = 3600.0
_NAME = later(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?")
_VERSION = later(r"[A-Za-z0-9.!+_-]{1,100}")
# runs in the other interpreter: it needs nothing but the standard library
_PROBE = """
import json, platform, sys
from importlib import metadata
packages, editable = {}, {}
for one in metadata.distributions():
    name = one.metadata["Name"]
    if name and name not in packages:
        packages[name] = one.version
        try:
            told = json.loads(one.read_text("direct_url.json") or "{}")
        except ValueError:
            told = {}
        if (told.get("dir_info") or {}).get("editable"):
            editable[name] = told.get("url", "")
print(json.dumps({"python": platform.python_version(), "executable": sys.executable,
                  "paths": [p for p in sys.path if p], "packages": packages, "editable": editable}))
"""


class InterpreterFacts(Struct, frozen=True, kw_only=True):
    """What a Python interpreter has. `packages`: version by normalised name. `editable`: packages that are installed as
    a folder, with the folder. `paths`: where it looks for modules."""

    python: str
    executable: str
    packages: Mapping[str, str] = field(default_factory=dict)
    editable: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()


def interpreter_of(words: Sequence[str], cwd: Path) -> str | None:
    """The Python interpreter that a command starts with; None where its first word is another program."""
    first = words[0] if words else ""
    if not Path(first).name.startswith("python"):
        return None
    return str(cwd / first) if "/" in first and not first.startswith("/") else shutil.which(first)


def interpreter_facts(python: str) -> InterpreterFacts:
    """What the interpreter says of itself. Raises `UnreadableSource` when it does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the user's own command names
            [python, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_S,
            check=True,
            cwd=Path(python).parent,  # not where modules of the user's may hide those of Python
        )
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableSource(f"{python} does not say which packages it has: {reason}") from None
    return InterpreterFacts(
        python=told["python"],
        executable=told["executable"],
        packages={canonical(name): version for name, version in told["packages"].items()},
        editable={canonical(name): url.removeprefix("file://") for name, url in told["editable"].items()},
        paths=tuple(told["paths"]),
    )


def make_environment(
    place: Path, packages: Mapping[str, str], *, beside: str | None = None, python: str = sys.executable
) -> Path:
    """Makes a virtual environment with exactly these packages, and returns its interpreter.

    Nothing that they depend on is installed. `beside`: an interpreter whose packages the new one sees, too, behind its
    own. pip decides where packages come from, by its own configuration. Raises `UnreadableSource` when the environment
    cannot be built."""
    found = place / "bin" / "python"
    for name, version in packages.items():
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            raise UnreadableSource(f"{name[:80]!r} {version[:80]!r} is no package with its version")
    own_pip = util.find_spec("pip") is not None  # otherwise the new environment brings one along
    _run([python, "-m", "venv", *(["--without-pip"] if own_pip else []), str(place)], PROBE_S * 5)
    if beside is not None:
        site = next((place / "lib").glob("python*/site-packages"))
        lines = [path for path in interpreter_facts(beside).paths if path.endswith("-packages")]
        (site / "beside.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if packages:
        wanted = [f"{name}=={version}" for name, version in packages.items()]
        flags = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--ignore-installed")
        pip = [sys.executable, "-m", "pip", "--python", str(found)] if own_pip else [str(found), "-m", "pip"]
        _run([*pip, "install", *flags, *wanted], INSTALL_S)
    return found


def environment_variables(python: Path, variables: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """The variables with which commands use the environment of an interpreter that `make_environment` made."""
    folder = python.parent
    path = os.pathsep.join([str(folder), *filter(None, [variables.get("PATH", "")])])
    return {"VIRTUAL_ENV": str(folder.parent), "PATH": path, "PYTHONHOME": None}


def _run(argv: Sequence[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and checked names
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreadableSource(f"the environment cannot be built: {error}") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "no reason")
        raise UnreadableSource(f"the environment cannot be built: {reason[:500]}")
