"""The fingerprint of a model: one digest a tensor, one of its shape, one of all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.extras import need
from rldk.errors import MalformedInput, NotALog, UnreadableSource
from rldk.provenance.fingerprints.arrays import LEAF_BYTES, tensor_array
from rldk.provenance.fingerprints.digest import ENCODING, Hash, combined, hash_maker
from rldk.provenance.fingerprints.safetensors import TYPES, tensors_in
from rldk.provenance.fingerprints.tree import differing

PICKLED = frozenset({".pt", ".pth", ".bin"})
_BITS = {
    "float64": 64,
    "int64": 64,
    "uint64": 64,
    "float32": 32,
    "int32": 32,
    "uint32": 32,
    "float16": 16,
    "bfloat16": 16,
}
Named = tuple[str, str, tuple[int, ...], Any]  # name, type, shape, buffer


class TensorFingerprint(Struct, frozen=True, kw_only=True):
    """One tensor. `leaves`: the digests of its bytes, a mebibyte each, with which a changed element is found."""

    dtype: str
    shape: tuple[int, ...]
    digest: str
    leaves: tuple[bytes, ...] = ()


class ModelFingerprint(Struct, frozen=True, kw_only=True):
    """What a model is. `weights`: the digest of all tensors with their names. `architecture`: of names, types and
    shapes alone. Neither depends on how the tensors are spread over files, nor on their order. `parameters`: how many
    numbers; tensors that share memory count once for each name."""

    weights: str
    architecture: str
    algorithm: str
    encoding: str = ENCODING
    parameters: int
    tensors: dict[str, TensorFingerprint]


class TensorDifference(Struct, frozen=True, kw_only=True):
    """A tensor that is not the same. `first`, `last`: the range of elements, in C order, within which some differ; None
    where type or shape differ, where only one model has it, or where the leaves are not known."""

    name: str
    why: str
    first: int | None = None
    last: int | None = None


def model_fingerprint(
    model: Any, *, algorithm: str = "sha256", each: Callable[[str], None] | None = None
) -> ModelFingerprint:
    """The fingerprint of a model.

    `model`: a module of torch, a mapping from names to tensors or arrays, a path to a safetensors file, to a directory
    with such files (a sharded checkpoint, an adapter), or to a .pt, .pth or .bin file, which torch reads as weights
    only. One tensor at a time is read. `each`: is called with the name of each tensor before it is read. Raises
    `MalformedInput` for anything else, `NotALog` for files without tensors, `UnreadableSource` when a path cannot be
    read."""
    make = hash_maker(algorithm)
    tensors: dict[str, TensorFingerprint] = {}
    for name, dtype, shape, data in tensors_of(model):
        if each is not None:
            each(name)
        leaves = tuple(_leaves(data, make))
        digest = combined(make, (dtype, "x".join(map(str, shape)), *leaves)).hex()
        tensors[name] = TensorFingerprint(dtype=dtype, shape=shape, digest=digest, leaves=leaves)
    ordered = sorted(tensors.items())
    return ModelFingerprint(
        weights=combined(make, (ENCODING, "weights", *(part for n, t in ordered for part in (n, t.digest)))).hex(),
        architecture=combined(
            make,
            (ENCODING, "architecture", *(x for n, t in ordered for x in (n, t.dtype, "x".join(map(str, t.shape))))),
        ).hex(),
        algorithm=algorithm,
        parameters=sum(_count(t.shape) for t in tensors.values()),
        tensors=dict(ordered),
    )


def diff_models(before: ModelFingerprint, after: ModelFingerprint) -> tuple[TensorDifference, ...]:
    """The tensors that are not the same, by name, each with the range of elements that differ."""
    found = []
    for name in sorted(before.tensors.keys() | after.tensors.keys()):
        old, new = before.tensors.get(name), after.tensors.get(name)
        if old is None or new is None:
            found.append(TensorDifference(name=name, why="added" if old is None else "removed"))
        elif (old.dtype, old.shape) != (new.dtype, new.shape):
            why = f"{old.dtype} {list(old.shape)} became {new.dtype} {list(new.shape)}"
            found.append(TensorDifference(name=name, why=why))
        elif old.digest != new.digest:
            first, last = _elements(old, new)
            found.append(TensorDifference(name=name, why="changed", first=first, last=last))
    return tuple(found)


def _elements(old: TensorFingerprint, new: TensorFingerprint) -> tuple[int | None, int | None]:
    """The range of elements within which some differ; None where the leaves do not say."""
    leaves = list(differing(old.leaves, new.leaves)) if len(old.leaves) == len(new.leaves) else []
    if not leaves:
        return None, None
    per_leaf = LEAF_BYTES * 8 // _BITS.get(new.dtype, 8)
    return leaves[0] * per_leaf, min((leaves[-1] + 1) * per_leaf, _count(new.shape)) - 1


def tensors_of(model: Any) -> Iterator[Named]:
    """Name, type, shape and bytes of each tensor of what `model_fingerprint` takes; a view of bytes may end with the
    next one."""
    if isinstance(model, str | os.PathLike):
        return _of_path(Path(model))
    if hasattr(model, "state_dict"):
        model = model.state_dict()
    if isinstance(model, Mapping):
        return _of_mapping(model)
    raise MalformedInput(
        f"a {type(model).__module__}.{type(model).__qualname__} is no model", hint="give a module, a mapping or a path"
    )


def _of_path(path: Path) -> Iterator[Named]:
    try:
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if not files:
            files = sorted(p for p in path.iterdir() if p.suffix in PICKLED and _holds_weights(p))
        if not files:
            raise NotALog(f"{path} has no safetensors, .bin or .pt file", hint="give the directory of a checkpoint")
        for file in files:
            if file.suffix in PICKLED:
                yield from _of_pickle(file)
            else:
                yield from ((name, TYPES.get(kind, kind), shape, data) for name, kind, shape, data in tensors_in(file))
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise UnreadableSource(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _holds_weights(path: Path) -> bool:
    return path.name.startswith(("pytorch_model", "adapter_model", "model", "mp_rank"))


def _of_pickle(path: Path) -> Iterator[Named]:
    with need("torch", "torch"):
        import torch
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds; a pickle that would run code is one of them
        raise NotALog(f"torch does not read {path} as weights: {str(error).splitlines()[0]}") from None
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise NotALog(f"{path} holds a {type(state).__name__}, not a mapping of tensors")
    yield from _of_mapping(state)


def _of_mapping(state: Mapping[Any, Any]) -> Iterator[Named]:
    import numpy as np

    for name, value in state.items():
        if hasattr(value, "detach"):
            array, dtype = tensor_array(value)
            shape = tuple(value.shape)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            array, dtype, shape = value, value.dtype.name, value.shape
        else:
            raise MalformedInput(f"{name!r} is a {type(value).__name__}, not a tensor", hint="give the weights alone")
        plain = np.ascontiguousarray(array).reshape(-1)
        yield str(name), dtype, shape, plain.view(np.uint8).data


def _leaves(data: Any, make: Callable[[], Hash]) -> Iterable[bytes]:
    for start in range(0, len(data), LEAF_BYTES):
        made = make()
        made.update(data[start : start + LEAF_BYTES])
        yield made.digest()


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
