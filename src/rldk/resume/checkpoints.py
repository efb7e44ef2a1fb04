"""The checkpoints that a run has written: the newest, what it holds, and how it was written."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from rldk.adapters.checkpoints import checkpoints_in
from rldk.errors import InputError
from rldk.provenance.checkpoints.contents import open_checkpoint
from rldk.provenance.checkpoints.stored import Contents

MAX_FILES = 20_000
MAX_DATA = 16 << 20  # bytes of the JSON in an archive
SUFFIXES = frozenset({".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".zip", ".npz", ".pkl", ".pickle", ".msgpack"})
_NUMBER = re.compile(r"(\d{1,15})(?=\D*$)")
# kind of state -> what its names look like, in any part of a checkpoint. Those of `NEEDED` decide about the next step
# of nearly every training; the others belong to some.
_STATES: tuple[tuple[str, str], ...] = (
    ("position in the data", r"sampler|loader|data_?(state|pos|idx|index)|batch_?(idx|index|order)|order|cursor"
     r"|position|consumed|samples_?seen|epoch|generator|iterator|permutation|shuffle"),
    ("step", r"(^|[._])(global_?)?(step|iter|iteration|update|timestep)s?($|[._])|epoch|consumed|num_timesteps"),
    ("KL coefficient", r"kl_?(coef|ctl|ctrl|controller|beta)|adaptive_kl"),
    ("normaliser", r"running_?(mean|var|std)|obs_rms|ret_rms|normali[sz]er|(^|[._])rms"),
    ("reference model", r"(^|[._])ref(erence)?(_model|_policy)?[._]"),
    ("environment", r"(^|[._])envs?($|[._])|episode"),
    ("gradient scaler", r"scaler|loss_scale"),
    ("moving average of weights", r"(^|[._])ema|shadow|averaged"),
)  # fmt: skip
NEEDED = ("optimizer state", "schedule", "random state", "position in the data", "step")


class FoundCheckpoint(Struct, frozen=True, kw_only=True):
    """`path`: a file or folder, relative to the folder of the run. `inventory`: kinds of state -> whether it is there;
    None where it cannot be read, for the `reason`. `bytes`: its size."""

    path: str
    inventory: Mapping[str, bool] | None = None
    reason: str = ""
    bytes: int = 0


def newest_checkpoint(out: Path) -> Path | None:
    """The newest checkpoint below the folder: a folder with the highest step, or the file that was written last."""
    folders = [place for place in (out, *_folders(out)) if any(True for _ in checkpoints_in(place))]
    if folders:
        return max((Path(c.path) for place in folders for c in checkpoints_in(place)), key=_step_and_time)
    found = list(_files(out))
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


def inspected(out: Path, path: Path) -> FoundCheckpoint:
    """What a checkpoint holds, by the names in it. Nothing of it is run."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]
    size = sum(one.stat().st_size for one in files[:MAX_FILES])
    name = path.relative_to(out).as_posix()
    if (saved := _saved_by_sb3(path)) is not None:
        return FoundCheckpoint(path=name, inventory=saved, bytes=size)
    try:
        contents = open_checkpoint(path)
    except InputError as error:
        return FoundCheckpoint(path=name, reason=error.message, bytes=size)
    return FoundCheckpoint(path=name, inventory=inventory_of(contents), bytes=size)


def _saved_by_sb3(path: Path) -> dict[str, bool] | None:
    """What the archive of `save` of Stable-Baselines3 holds; None for another file. Its own data is JSON with pickles
    in it; only its keys are read. Other generators, environment and normaliser are never in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {one.filename: one.file_size for one in archive.infolist()}
            if "_stable_baselines3_version" not in members or members.get("data", MAX_DATA + 1) > MAX_DATA:
                return None
            with archive.open("data") as stream:
                keys = msgspec.json.decode(stream.read(MAX_DATA), type=dict[str, msgspec.Raw]).keys()
    except (OSError, zipfile.BadZipFile, msgspec.MsgspecError, RuntimeError, NotImplementedError, zlib.error):
        return None
    found = dict.fromkeys(["weights", *NEEDED, *(kind for kind, _ in _STATES)], False)
    return found | {
        "weights": "policy.pth" in members,
        "optimizer state": any(name.endswith("optimizer.pth") for name in members),
        "schedule": "lr_schedule" in keys,
        "step": "num_timesteps" in keys,
    }


def inventory_of(contents: Contents) -> dict[str, bool]:
    """Kinds of state -> whether the checkpoint has it."""
    keys = [*contents.tensors, *contents.values]
    sections = {section for section, _ in keys}
    names = [name for section, name in keys if section in ("other", "model", "scheduler", "random")]
    words = [*names, *(name for section, name in keys if section == "other")]
    trainer = "trainer_state.json" in contents.configs  # transformers: the step, from which the data is skipped
    found = {
        "weights": "model" in sections,
        "optimizer state": "optimizer" in sections,
        "schedule": "scheduler" in sections,
        "random state": "random" in sections,
    }
    for kind, pattern in _STATES:
        expression = re.compile(pattern, re.IGNORECASE)
        loose = [name for section, name in keys if section in ("other", "random")]
        among = words if kind in ("normaliser", "reference model", "moving average of weights") else loose
        found[kind] = any(expression.search(name) for name in among)
    found["position in the data"] |= trainer
    found["step"] |= trainer
    return found


def written_in_place(before: Mapping[str, tuple[int, int]], out: Path) -> tuple[str, ...] | None:
    """The checkpoint files that were changed and are still the same file; None where none was changed at all."""
    after = files_seen(out)
    changed = [name for name, (_, time) in before.items() if name in after and after[name][1] != time]
    return tuple(name for name in changed if after[name][0] == before[name][0]) if changed else None


def files_seen(out: Path) -> dict[str, tuple[int, int]]:
    """The checkpoint files below a folder: relative path -> inode and time of the last change."""
    found = {}
    for path in _files(out):
        with suppress(OSError):
            stat = path.stat()
            found[path.relative_to(out).as_posix()] = (stat.st_ino, stat.st_mtime_ns)
    return found


def _files(out: Path) -> Iterator[Path]:
    seen = 0
    for root, folders, names in os.walk(out):
        folders.sort()
        for name in sorted(names):
            seen += 1
            path = Path(root) / name
            if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink():
                yield path
        if seen > MAX_FILES:
            return


def _folders(out: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in out.iterdir() if path.is_dir() and not path.is_symlink())
    return []


def _step_and_time(path: Path) -> tuple[int, int]:
    match = _NUMBER.search(path.name)
    return (int(match[1]) if match else -1, path.stat().st_mtime_ns)
