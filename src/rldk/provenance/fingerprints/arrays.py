"""Arrays of NumPy and tensors of torch: their bytes in C order, in leaves of about a mebibyte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rldk.errors import MalformedInput
from rldk.provenance.fingerprints.digest import Hash

LEAF_BYTES = 1 << 20


def array_header(array: Any) -> tuple[str, ...]:
    """What must be equal beside the bytes: type and shape."""
    return "array", array.dtype.newbyteorder("<").str, "x".join(map(str, array.shape))


def rows_in_leaf(row_bytes: int) -> int:
    """How many rows a leaf holds: as many as make about a mebibyte, and always the same for the same rows."""
    return max(1, LEAF_BYTES // max(1, row_bytes))


def array_leaves(array: Any, make: Callable[[], Hash]) -> Iterator[tuple[bytes, Any]]:
    """Each leaf with its digest. An array that does not lie in C order is copied leaf by leaf. Raises `MalformedInput`
    for an array of objects."""
    import numpy as np

    if array.dtype.hasobject:
        raise MalformedInput("an array of objects has no bytes of its own", hint="make it a list of records")
    if array.ndim == 0:
        array = array.reshape(1)
    step = rows_in_leaf(array.itemsize * (array.size // max(1, len(array))))
    for start in range(0, len(array), step):
        part = np.ascontiguousarray(array[start : start + step])
        made = make()
        made.update(part.astype(part.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data)
        yield made.digest(), part


def tensor_array(tensor: Any) -> tuple[Any, str]:
    """A tensor as an array of NumPy that shares its memory where it lies on the CPU, and the name of its type. Types
    that NumPy does not have, such as bfloat16, become bytes."""
    import torch

    flat = tensor.detach().cpu()
    name = str(tensor.dtype).removeprefix("torch.")
    try:
        return flat.numpy(), name
    except TypeError:
        shape = (*flat.shape[:-1], flat.shape[-1] * flat.element_size()) if flat.ndim else (flat.element_size(),)
        return flat.contiguous().reshape(-1).view(torch.uint8).reshape(shape).numpy(), name
