"""A labelled corpus: directories that hold a `label.json` beside a log in any format that rldk opens."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from rldk.core.model import Run
from rldk.errors import MalformedInput, NoData, UnreadableSource

LABEL = "label.json"
HEALTHY = "none"  # the fault of a healthy run
_SHAPE = 'it holds {"fault": "lr_jump", "onset": 70, "families": ["OPT"]}, or {"fault": "none"} for a healthy run'


class Label(Struct, frozen=True, kw_only=True):
    """The truth about a run. `fault`: "none" or what was broken. `onset`: the first broken step.

    `families`: rule families whose finding names the fault. `tolerated`: families that count neither way."""

    fault: str
    algorithm: str = ""
    framework: str = ""
    onset: int = 0
    families: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return self.fault == HEALTHY


class Case(Struct, frozen=True, kw_only=True):
    """A labelled run. `name`: its directory, relative to the corpus."""

    name: str
    folder: Path
    label: Label


def find_cases(corpus: str | os.PathLike[str]) -> list[Case]:
    """Every labelled run at or below `corpus`, by name.

    Raises `UnreadableSource`, `NoData` when there is none, and `MalformedInput` with the name of a wrong label."""
    root = Path(corpus)
    if not root.is_dir():
        raise UnreadableSource(f"no such directory: {root}", hint=f"give a directory of runs, each with a {LABEL}")
    folders = sorted(_labelled(root), key=lambda folder: folder.relative_to(root).as_posix())
    if not folders:
        raise NoData(f"no {LABEL} below {root}", hint=f"each run is a directory with its log and a {LABEL}; {_SHAPE}")
    return [
        Case(
            name=folder.relative_to(root).as_posix() if folder != root else folder.absolute().name,
            folder=folder,
            label=read_label(folder / LABEL),
        )
        for folder in folders
    ]


def _labelled(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        if LABEL in names:
            subfolders.clear()  # everything below belongs to the run
            yield Path(folder)


def read_label(path: Path) -> Label:
    """The label in a file. `algo` and `dialect` are its words for algorithm and framework."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MalformedInput(f"{path}: {error}", hint=_SHAPE) from None
    if not isinstance(data, dict) or not isinstance(data.get("fault"), str):
        raise MalformedInput(f"{path}: no text under 'fault'", hint=_SHAPE)
    return Label(
        fault=data["fault"],
        algorithm=str(data.get("algo") or data.get("algorithm") or ""),
        framework=str(data.get("dialect") or data.get("framework") or ""),
        onset=_onset(data, path),
        families=_names(data, "families", path),
        tolerated=_names(data, "tolerated", path),
    )


def _onset(data: dict[str, Any], path: Path) -> int:
    found = data.get("onset")
    if found is None:
        return 0  # the fault is there from the start
    if isinstance(found, bool) or not isinstance(found, int):
        raise MalformedInput(f"{path}: 'onset' is {found!r}, not a step", hint=_SHAPE)
    return found


def _names(data: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise MalformedInput(f"{path}: {key!r} is {found!r}, not a list of families", hint=_SHAPE)
    return tuple(found)


@contextmanager
def open_case(case: Case) -> Iterator[Run]:
    """Opens the one run of a case, from a copy under a neutral name.

    No hint about a run in its label or in the name of a directory can reach an adapter or a rule. Raises the errors of
    the adapters, and `MalformedInput` when the directory holds several runs."""
    from rldk.adapters.open import open_runs

    with TemporaryDirectory(prefix="rldk-") as scratch:
        copy = Path(scratch) / "run"
        told = shutil.ignore_patterns(LABEL, "README*")
        shutil.copytree(case.folder, copy, ignore=told, copy_function=shutil.copyfile)
        entries = list(copy.iterdir())
        runs = open_runs(entries[0] if len(entries) == 1 and entries[0].is_file() else copy)
        if len(runs) > 1:
            raise MalformedInput(f"{case.folder} holds {len(runs)} runs", hint="a label speaks of one run")
        yield runs[0]
