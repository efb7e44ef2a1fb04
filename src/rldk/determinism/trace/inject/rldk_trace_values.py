"""Digests of several tensors, and of the other arguments of an operation."""

from __future__ import annotations

import sys
from typing import Any

from rldk_trace_digest import MASK, of_bytes  # type: ignore[import-not-found]

_MAX_TEXTS = 1_000


class JoinedDigest:
    """Several digests, some of them on a device, joined there."""

    @staticmethod
    def of(digests: list[Any]) -> Any:
        """One digest on the device, by which the order of the parts is seen."""
        first = next(one for one in digests if type(one) is not int)
        value, seed = first.value * 0, 0
        for one in digests:
            seed = hash((seed, one if type(one) is int else one.seed)) & MASK
            if type(one) is not int:
                value = value * 0x100000001B3 + one.value.to(value.device)
        return type(first)(value, seed)


_texts: dict[Any, int] = {}  # the digests of types, devices and layouts


def joined(digests: list[Any]) -> Any:
    """One digest of several, in their order: a number, or one on a device where any of them is there."""
    if len(digests) == 1:
        return digests[0]
    for one in digests:
        if type(one) is not int:
            return JoinedDigest.of(digests)
    return hash(tuple(digests)) & MASK if digests else 0


def numbers(values: Any) -> tuple[Any, ...]:
    """Values as numbers that hash alike in every process."""
    found: list[Any] = []
    for one in values:
        kind = type(one)
        if kind is int or kind is bool or (kind is float and one == one):
            found.append(one)
        elif kind is tuple or kind is list:
            found.append(numbers(one))
        elif kind is str or kind.__module__ == "torch":
            known = _texts.get(one)
            if known is None:
                known = of_bytes(str(one).encode())
                if len(_texts) < _MAX_TEXTS:
                    _texts[one] = known
            found.append(known)
        else:  # None, NaN, and what differs from process to process
            found.append(-7 if one is None else -8)
    return tuple(found)


def tensors_in(value: Any, others: list[Any] | None = None) -> list[Any]:
    """The tensors in an argument or a result, also in lists; what is no tensor is added to `others`."""
    tensor = sys.modules["torch"].Tensor
    if isinstance(value, tensor):
        return [value]
    found: list[Any] = []
    if isinstance(value, list | tuple):
        for one in value:
            if isinstance(one, tensor):
                found.append(one)
            else:
                found += tensors_in(one, others)
    elif others is not None:
        others.append(value)
    return found


def bag_of(digests: list[Any]) -> int:
    """A digest of several digests that does not see their order; 0 where it is not known, or there is one only."""
    if len(digests) < 2:
        return 0
    total = len(digests)
    for one in digests:
        if type(one) is not int:
            return 0
        total += one
    return int(total & MASK)


def elements_of(tensor: Any) -> int:
    """A digest of the elements of a tensor of the CPU that does not see their order; 0 for a single one."""
    count = tensor.numel()
    if not tensor.is_cpu or not 1 < count <= 1 << 20 or tensor.is_complex():
        return 0
    torch = sys.modules["torch"]
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return int((int(tensor.reshape(-1).view(kind).sum(dtype=torch.int64)) + count) & MASK)
