"""The checkpoints in the directory of a run, by the names and the sizes of their files. None of these is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from rldk.core.checkpoint import Checkpoint, Part
from rldk.core.model import Run
from rldk.core.text import later

MOST = 2000  # entries of a directory that are looked at
DEEPEST = 3  # levels below the folder of a checkpoint: trainers keep a folder for each model, DeepSpeed one more
_FOLDER = later(r"(?:checkpoint-|global_step_?|step_?|iter_)(\d{1,18})")  # Transformers, verl and DeepSpeed, others
# How files are called by Transformers, PEFT, DeepSpeed and verl (FSDP).
_NAMES: tuple[tuple[re.Pattern[str], tuple[Part, ...]], ...] = (
    (
        later(r"(?:(?:model|pytorch_model|adapter_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin)|.*model_states\.pt)"),
        ("weights",),
    ),
    (later(r"model_world_size_\d+_rank_\d+\.pt"), ("weights",)),
    (
        later(r"optimizer(?:_\d+)?\.(?:pt|bin)|.*optim_states\.pt|optim_world_size_\d+_rank_\d+\.pt"),
        ("optimizer",),
    ),
    (later(r"scheduler\.pt"), ("scheduler",)),
    (later(r"rng_state(?:_\d+)?\.pth|random_states_\d+\.pkl"), ("random",)),
    (later(r"extra_state_world_size_\d+_rank_\d+\.pt"), ("scheduler", "random")),
)


def with_checkpoints(run: Run, home: Path) -> Run:
    """The run with the checkpoints that lie in its directory. A directory that cannot be read has none."""
    found = checkpoints_in(home)
    return replace(run, checkpoints=found) if found else run


def checkpoints_in(home: Path) -> tuple[Checkpoint, ...]:
    """The checkpoints in `home` by rising step; a folder without a file that is known counts as none."""
    made = []
    for entry in _entries(home):
        named = _FOLDER.fullmatch(entry.name)
        if named and entry.is_dir(follow_symlinks=False):
            found = _checkpoint(int(named[1]), Path(entry.path))
            if found.sizes:
                made.append(found)
    return tuple(sorted(made, key=lambda c: (c.step, c.path)))


def _checkpoint(step: int, folder: Path) -> Checkpoint:
    sizes: dict[Part, int] = {}
    empty = []
    for name, size in sorted(_files(folder, DEEPEST)):
        parts = next((parts for pattern, parts in _NAMES if pattern.fullmatch(name)), ())
        for part in parts:
            sizes[part] = sizes.get(part, 0) + size
        if parts and not size:
            empty.append(name)
    return Checkpoint(step=step, path=str(folder), sizes=sizes, empty=tuple(empty))


def _files(folder: Path, levels: int) -> Iterator[tuple[str, int]]:
    """The names and the sizes of the files in a folder and in the folders below it."""
    for entry in _entries(folder):
        try:
            if entry.is_file(follow_symlinks=True):
                yield entry.name, entry.stat().st_size
            elif levels > 1 and entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), levels - 1)
        except OSError:
            continue  # it went away, or a link leads nowhere


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(MOST), entries, strict=False):
                yield entry
    except OSError:
        return
