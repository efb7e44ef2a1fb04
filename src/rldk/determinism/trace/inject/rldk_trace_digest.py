"""Digests of tensors and of Python values. They see the order of elements, their bits, their type and their shape."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Callable
from typing import Any

MASK = (1 << 64) - 1
_ROW = 1 << 20  # elements that are weighted at a time on a device
_ODD = 0x9E3779B97F4A7C15  # the increment of splitmix64, whose outputs are the weights
MAX_ITEMS, MAX_DEPTH = 4_096, 4
_PLAIN = (int, float, bool, str, bytes, complex, type(None))


def _blake2b(data: Any, seed: int = 0) -> int:
    made = hashlib.blake2b(data, digest_size=8, salt=seed.to_bytes(8, "little"))
    return int.from_bytes(made.digest(), "little")


_bytes_digest: Callable[..., int] = _blake2b
NAME = "blake2b"
try:
    from xxhash import xxh3_64_intdigest
except ImportError:
    pass
else:
    _bytes_digest, NAME = xxh3_64_intdigest, "xxh3"


_types: dict[Any, int] = {}
_arrays: dict[int, Any] = {}  # types of arrays of ctypes by their length in bytes
_dense: dict[Any, bool] = {}  # whether a shape with these strides has no gaps
_MOST = 10_000  # of either
_weights: dict[Any, Any] = {}
FETCHING: list[bool] = []  # not empty while digests are fetched from a device


class OnDevice:
    """A digest that a device is still computing. `value`: a tensor without dimensions, of 64-bit integers."""

    __slots__ = ("seed", "value")

    def __init__(self, value: Any, seed: int) -> None:
        self.value, self.seed = value, seed


def fetched(waiting: list[OnDevice]) -> list[int]:
    """The digests as numbers, fetched with one copy from each device."""
    import torch

    found: dict[int, int] = {}
    FETCHING.append(True)  # these operations are ours
    try:
        for device in {one.value.device for one in waiting}:
            group = [one for one in waiting if one.value.device == device]
            numbers = torch.stack([one.value for one in group]).tolist()
            found |= {id(one): (number ^ one.seed) & MASK for one, number in zip(group, numbers, strict=True)}
    finally:
        FETCHING.pop()
    return [found[id(one)] for one in waiting]


def _form(tensor: Any) -> int:
    kind = _types.get(tensor.dtype)
    if kind is None:
        kind = _types[tensor.dtype] = _bytes_digest(str(tensor.dtype).encode())
    return (hash(tensor.shape) ^ kind) & MASK


def of_tensor(tensor: Any) -> Any:
    """The digest of a strided tensor: a number, or an `OnDevice` for one that is not in the memory of the CPU.

    Raises `RuntimeError` for a tensor without memory of its own."""
    return of_parts(tensor, None)[0]


def of_view(view: Any, source: int, offset: int) -> int:
    """The digest of a view, by that of the tensor that it shows, `offset` bytes from its beginning. Nothing is read."""
    return hash((_form(view), source, view.stride(), offset)) & MASK


def of_parts(tensor: Any, memory: int | None) -> tuple[Any, int | None]:
    """The digest of a strided tensor, and that of its memory alone, which a view of all of it shares; None where it
    does not fill its memory. `memory`: the latter, where it is known already.

    Raises `RuntimeError` for a tensor without memory of its own."""
    form, count = _form(tensor), tensor.numel()
    if count == 0:
        return form, None
    if not tensor.is_cpu:  # `device.type` takes 3 microseconds, this 0.1
        return OnDevice(weighted_sum(tensor), form), None
    if not tensor.is_contiguous():
        if not is_dense(tensor):
            tensor = tensor.contiguous()
            return hash((form, _of_memory(tensor, count))) & MASK, None
        form = hash((form, tensor.stride())) & MASK
    if memory is None:
        memory = _of_memory(tensor, count)
    return hash((form, memory)) & MASK, memory


def _of_memory(tensor: Any, count: int) -> int:
    size = count * tensor.element_size()
    array = _arrays.get(size)
    if array is None:
        array = ctypes.c_char * size
        if len(_arrays) < _MOST:
            _arrays[size] = array
    return _bytes_digest(array.from_address(tensor.data_ptr()))


def is_dense(tensor: Any) -> bool:
    """Whether the elements lie side by side in some order of the dimensions: they can be read without a copy."""
    key = (tensor.stride(), tensor.shape)
    known = _dense.get(key)
    if known is None:
        known = _has_no_gaps(*key)
        if len(_dense) < _MOST:
            _dense[key] = known
    return known


def _has_no_gaps(strides: Any, shape: Any) -> bool:
    size = 1
    for stride, length in sorted(zip(strides, shape, strict=True)):
        if length != 1:
            if stride != size:
                return False
            size *= length
    return True


def weighted_sum(tensor: Any) -> Any:
    """The sum of the elements' bits with fixed odd weights, modulo 2**64: the same whatever the order of addition, and
    another for another order of elements. Stays on the tensor's device."""
    import torch

    names = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    tensor = tensor.contiguous()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    flat = tensor.reshape(-1).view(names[tensor.element_size()])
    weights = _weights_on(flat.device)
    total = torch.zeros((), dtype=torch.int64, device=flat.device)
    for number, begin in enumerate(range(0, flat.numel(), _ROW)):
        row = flat[begin : begin + _ROW].to(torch.int64)
        total = total * 3 + (row * weights[: row.numel()]).sum() * (2 * number + 1)
    return total


def _weights_on(device: Any) -> Any:
    import torch

    if device not in _weights:
        x = torch.arange(1, _ROW + 1, dtype=torch.int64, device=device) * (_ODD - (1 << 64))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * (factor - (1 << 64))
        _weights[device] = x | 1
    return _weights[device]


def of_bytes(data: bytes) -> int:
    """The digest of bytes."""
    return int(_bytes_digest(data))


def of_value(value: Any, tensor: Callable[[Any], Any] | None = None) -> int:
    """The digest of numbers, texts, arrays and containers of them. Of anything else only its type counts.

    `tensor`: how tensors are digested; without it only their type counts."""
    parts: list[bytes] = []
    _collect(value, parts, 0, tensor)
    return of_bytes(b"\0".join(parts))


def _collect(value: Any, parts: list[bytes], depth: int, tensor: Callable[[Any], Any] | None) -> None:
    kind = type(value)
    if kind in _PLAIN:
        parts.append(repr(value).encode("utf-8", "replace"))
    elif depth < MAX_DEPTH and isinstance(value, list | tuple):
        parts.append(b"%d" % len(value))
        for one in value[:MAX_ITEMS]:
            _collect(one, parts, depth + 1, tensor)
    elif depth < MAX_DEPTH and isinstance(value, dict):
        for key, one in list(value.items())[:MAX_ITEMS]:
            _collect(key, parts, depth + 1, tensor)
            _collect(one, parts, depth + 1, tensor)
    elif kind.__module__ == "numpy" and hasattr(value, "dtype") and not value.dtype.hasobject:
        parts.append(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    elif tensor is not None and "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
        parts.append(str(tensor(value)).encode())
    else:
        parts.append(kind.__name__.encode())
