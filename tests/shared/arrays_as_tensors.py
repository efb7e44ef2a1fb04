"""Arrays of numpy with the methods and attributes of tensors that rldk asks for, and a torch that holds them."""

from __future__ import annotations

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np


class Tensor(np.ndarray[Any, Any]):
    """An array that is called like a tensor."""

    grad: Any = None
    requires_grad = True
    device = "cpu"

    def numel(self) -> int:
        return int(self.size)

    def detach(self) -> Tensor:
        return self

    def clone(self) -> Tensor:
        return self.copy()

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return np.asarray(self)

    def float(self) -> Tensor:
        return tensor(np.asarray(self, dtype=np.float64))

    def to(self, kind: Any) -> Tensor:
        return self if isinstance(kind, str) else tensor(np.asarray(self).astype(kind))

    def data_ptr(self) -> int:
        return int(self.__array_interface__["data"][0])

    def isfinite(self) -> Tensor:
        return tensor(np.isfinite(np.asarray(self)))

    def where(self, use: Any, other: Any) -> Tensor:
        return tensor(np.where(use, self, other))

    def new_zeros(self, shape: tuple[int, ...]) -> Tensor:
        return tensor(np.zeros(shape))

    def pow(self, power: int) -> Tensor:
        return tensor(np.asarray(self) ** power)

    def abs(self) -> Tensor:
        return tensor(np.abs(np.asarray(self)))

    def log_softmax(self, dim: int) -> Tensor:
        values = np.asarray(self)
        return tensor(values - np.log(np.exp(values).sum(axis=dim, keepdims=True)))

    def gather(self, dim: int, index: Any) -> Tensor:
        return tensor(np.take_along_axis(np.asarray(self), np.asarray(index), axis=dim))


def tensor(values: Any, device: str = "cpu") -> Tensor:
    return np.array(values).view(Tensor)


def torch_of_arrays() -> Any:
    """A module that stands for torch."""
    torch: Any = ModuleType("torch")
    torch.tensor = tensor
    torch.cat = lambda parts: tensor(np.concatenate(parts))
    torch.stack = lambda parts: tensor(np.stack(parts))
    torch._foreach_norm = lambda parts: [tensor(np.linalg.norm(np.asarray(part))) for part in parts]
    torch.no_grad = nullcontext
    return torch
