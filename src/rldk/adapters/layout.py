"""Knows how trainers lay out their files: which folders are parts of a run and not runs of their own."""

from __future__ import annotations

import re
from pathlib import Path

from rldk.core.text import later

# Trainers make these folders inside the directory of one run.
_PARTS = later(
    r"checkpoint-\d+|completions|rollouts|trackio|logs?|eval|files|metrics|params|tags|metrics_logs", re.IGNORECASE
)
# Folders that hold one folder a run (or a project of runs); with a single run in it, it is part of what surrounds it.
_SHELVES = later(r"runs|tb|tensorboard(_log)?s?|wandb|mlruns|(lightning|tb)_logs", re.IGNORECASE)
# File names that say what is in the file, not which run it is.
_COMMON = later(
    r"trainer_state|metrics|progress|result|results|events.*|std(out|err)|output|console|train(ing)?|logs?"
    r"|history|run|meta|((train|\d+(\.\d+)?)\.)?monitor|evaluations|completions.*|data|-",
    re.IGNORECASE,
)


def home(path: Path) -> Path:
    """The directory of the run that a file belongs to, judged by folder names alone."""
    folder = path.parent
    while _is_part(folder) and folder.parent != folder:
        folder = folder.parent
    return folder


def _is_part(folder: Path) -> bool:
    """Whether a trainer made the folder for a part of a run. prime-rl makes a folder for each step below `rollouts`."""
    a_step = folder.parent.name == "rollouts" and re.fullmatch(r"step_\d+", folder.name)
    return bool(a_step or _PARTS.fullmatch(folder.name))


def is_shelf(folder: Path) -> bool:
    return _SHELVES.fullmatch(folder.name) is not None


def run_name(path: str | Path) -> str:
    """A name for the run in `path`: the name of the file, or of its directory when the file has a common name."""
    path = Path(path)
    stem = path.name.removesuffix(".gz").removesuffix(".zst")
    stem = stem if path.name.startswith("events.") else Path(stem).stem
    if not _COMMON.fullmatch(stem):
        return stem
    folder = home(path.absolute())
    if is_shelf(folder.parent) and not is_shelf(folder.parent.parent) and folder.parent.parent.name:
        return folder.parent.parent.name if re.fullmatch(r"run\d*|default", folder.name) else folder.name
    return folder.name or stem
