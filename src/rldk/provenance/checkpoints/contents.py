"""Opens a checkpoint, a file or a folder, whichever trainer wrote it, as `Contents`."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

from rldk.core.checkpoint import Section
from rldk.errors import MalformedInput, NoData, NotALog, UnreadableSource
from rldk.provenance.checkpoints.archive import read_archive
from rldk.provenance.checkpoints.distributed import METADATA, add_distributed
from rldk.provenance.checkpoints.sections import add_archive, bare_name, section_of, tensor_name
from rldk.provenance.checkpoints.stored import WIDTHS, ByteRange, Contents, StoredTensor
from rldk.provenance.fingerprints.safetensors import TYPES, tensor_places
from rldk.provenance.inside import relative_path

SAFE, PICKLED = ".safetensors", frozenset({".pt", ".pth", ".bin", ".ckpt"})
CONFIGS = ("config.json", "adapter_config.json", "trainer_state.json")
MAX_CONFIG = 16 << 20
MAX_FILES, MAX_FOLDERS = 4096, 256
# a whole pickled object of the trainer's settings: no state of the training
SETTINGS = frozenset({"training_args.bin"})
_RANK = re.compile(r"(?:mp_rank|pp_rank|tp_rank|rank|rng_state)_(\d+)")
_TYPES = {**TYPES, "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu",
          "C64": "complex64"}  # fmt: skip
Begin = Callable[[str], None]


def open_checkpoint(path: Path, begin: Begin | None = None) -> Contents:
    """Everything that the checkpoint holds; only headers and pickles are read, and nothing of them is run.

    `path`: a file (safetensors, or what `torch.save` wrote), the index of a sharded one, or a folder with such files:
    of transformers, PEFT, DeepSpeed, verl, or a distributed checkpoint of torch. `begin`: is called with each file.
    Raises `UnreadableSource`, `NotALog`, `NoData` without a tensor, `UnsafePickle` and `MalformedInput`."""
    contents = Contents(path=str(path))
    if path.name.endswith(".index.json"):
        path = path.parent
    if path.is_dir():
        _folder(contents, path, begin)
    elif path.is_file():
        _file(contents, path, "", begin)
    else:
        raise UnreadableSource(f"cannot read {path}: there is no such file or folder")
    if not contents.tensors and not contents.values:
        hint = f"it reads {', '.join((SAFE, *sorted(PICKLED)))} and {METADATA} with *.distcp"
        raise NoData(f"{path} has no checkpoint that rldk reads", hint=hint)
    return contents


def _folder(contents: Contents, root: Path, begin: Begin | None) -> None:
    files, folders = _found(root)
    for folder in folders:
        prefix = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
        if (folder / METADATA).is_file():
            add_distributed(contents, folder, _short(prefix))
        _read_configs(contents, folder, prefix)
    for file in files:
        if file.name in SETTINGS:
            contents.left_out[file.name] = "it holds the trainer's settings as a pickle, not a state"
            continue
        _file(contents, file, _short(f"{file.parent.relative_to(root).as_posix()}/"), begin)
    _missing_shards(root)


def _short(prefix: str) -> str:
    """The prefix of names without folders whose name carries the step, which differs between checkpoints."""
    kept = [
        part
        for part in prefix.split("/")
        if part not in ("", ".") and not re.fullmatch(r"(global_step|step|checkpoint)[-_]?\d+", part)
    ]
    return "".join(f"{part}/" for part in kept)


def _found(root: Path) -> tuple[list[Path], list[Path]]:
    """The files of a checkpoint, safetensors first, and its folders, at most two below `root`."""
    files: list[Path] = []
    folders: list[Path] = []
    for where, inner, names in os.walk(root, onerror=_unreadable):
        folder = Path(where)
        depth = len(folder.relative_to(root).parts)
        inner[:] = sorted(name for name in inner if not name.startswith(".") and depth < 2)
        folders.append(folder)
        files += [folder / n for n in sorted(names) if Path(n).suffix in {SAFE, *PICKLED} and (folder / n).is_file()]
        if len(files) > MAX_FILES or len(folders) > MAX_FOLDERS:
            raise MalformedInput(f"{root} has more than {MAX_FILES:,} files or {MAX_FOLDERS} folders of checkpoints")
    nested = [f for f in folders[1:] if re.fullmatch(r"checkpoint-\d+", f.name)]
    if nested and not any(f.parent == root for f in files):
        raise NotALog(f"{root} holds several checkpoints", hint=f"give one of them, such as {nested[-1]}")
    kept = [f for f in files if not any(n in f.parents for n in nested)]
    return sorted(kept, key=lambda f: (f.suffix != SAFE, f.parent, f.name)), [f for f in folders if f not in nested]


def _unreadable(error: OSError) -> None:
    raise UnreadableSource(f"cannot read {error.filename}: {error.strerror}") from None


def _file(contents: Contents, path: Path, prefix: str, begin: Begin | None) -> None:
    if begin is not None:
        begin(path.name)
    if ranks := _RANK.findall(path.name):
        prefix += f"rank {'-'.join(ranks)}."
    if path.suffix == SAFE:
        _add_safetensors(contents, path, prefix)
    elif path.suffix in PICKLED or not _looks_safe(path):
        add_archive(contents, read_archive(path), prefix, section_of(path.name))
    else:
        _add_safetensors(contents, path, prefix)
    contents.files.append(path.name)
    contents.size += path.stat().st_size


def _looks_safe(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _add_safetensors(contents: Contents, path: Path, prefix: str) -> None:
    section: Section = section_of(path.name) or "model"
    try:
        places = tensor_places(path)
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    for name, kind, shape, first, last in places:
        dtype = _TYPES.get(kind, "")
        if dtype not in WIDTHS:
            contents.left_out[name] = f"its type is {kind[:40]}, which rldk does not know"
            continue
        if math.prod(shape) * WIDTHS[dtype] != last - first or min((0, *shape)) < 0:
            raise NotALog(f"{path} is damaged: tensor {name!r} has not as many bytes as its shape says")
        full = tensor_name(prefix + bare_name(name))
        piece = ByteRange(file=str(path), offset=first, size=last - first)
        contents.tensors.setdefault(
            (section, full), StoredTensor(section=section, name=full, dtype=dtype, shape=shape, pieces=(piece,))
        )


def _read_configs(contents: Contents, folder: Path, prefix: str) -> None:
    for name in CONFIGS:
        found = _json(folder / name)
        if found is not None:
            contents.configs[prefix + name] = found
    state = contents.configs.get("trainer_state.json", {})
    if isinstance(state.get("global_step"), int):
        contents.values["other", "global_step"] = str(state["global_step"])


def _json(path: Path) -> dict[str, object] | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_CONFIG:
            return None
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _missing_shards(root: Path) -> None:
    """Refuses a sharded checkpoint that lacks a file: its tensors would look removed."""
    for index in sorted(root.glob("*.index.json")):
        names = (_json(index) or {}).get("weight_map")
        if isinstance(names, dict):
            for name in sorted({str(relative_path(str(n))) for n in names.values()}):
                if not (root / name).is_file():
                    raise UnreadableSource(f"{root} lacks {name}, which {index.name} names", hint="copy it again")
