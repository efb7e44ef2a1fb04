"""What a LoRA adapter does to its weight: the product of its two matrices, compared without computing it.

The matrices alone say little: B and A are defined only up to a factor between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.core.checkpoint import AdapterChange
from rldk.forensics.checkpoints.decoding import native
from rldk.provenance.checkpoints.stored import Contents, Elements, Maps, StoredTensor

MAX_ELEMENTS = 1 << 19  # of one matrix: the pairs of both checkpoints take 16 MB as float64


def adapter_changes(before: Contents, after: Contents, maps: Maps) -> tuple[AdapterChange, ...]:
    """One entry for each pair of matrices that both checkpoints have, in the order of names."""
    found = []
    for section, name in sorted(before.tensors):
        if section != "model" or "lora_A" not in name:
            continue
        names = (name, name.replace("lora_A", "lora_B"))
        four = [c.tensors.get(("model", n)) for c in (before, after) for n in names]
        if all(_small(t) for t in four):
            a1, b1, a2, b2 = (_matrix(t, maps) for t in four if t is not None)
            if a1.shape[0] == b1.shape[1] and a2.shape[0] == b2.shape[1]:
                found.append(_change(name.replace("lora_A.", "").replace(".weight", ""), (a1, b1), (a2, b2)))
    return tuple(found)


def _small(tensor: StoredTensor | None) -> bool:
    return tensor is not None and len(tensor.shape) == 2 and 0 < tensor.elements <= MAX_ELEMENTS


def _matrix(tensor: StoredTensor, maps: Maps) -> NDArray[np.float64]:
    elements = Elements(tensor, maps)
    values: NDArray[Any] = native(elements.read(0, elements.count), tensor.dtype)
    return values.astype(np.float64).reshape(tensor.shape)


def _change(
    name: str,
    old: tuple[NDArray[np.float64], NDArray[np.float64]],
    new: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> AdapterChange:
    """The difference of two products is a product of stacked matrices, too: [B2 -B1] [A2; A1]."""
    whole = math.nan
    if (old[0].shape[1], old[1].shape[0]) == (new[0].shape[1], new[1].shape[0]):
        whole = _norm(np.vstack((new[0], old[0])), np.hstack((new[1], -old[1])))
    return AdapterChange(name=name, norm=(_norm(*old), _norm(*new)), l2=whole)


def _norm(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The Frobenius norm of B A. QR of both keeps the digits that the trace would lose to cancellation."""
    left: NDArray[np.float64] = np.asarray(np.linalg.qr(b, mode="r"))
    right: NDArray[np.float64] = np.asarray(np.linalg.qr(a.T, mode="r"))
    return float(np.linalg.norm(left @ right.T))
