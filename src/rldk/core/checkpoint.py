"""A checkpoint of a run, as its files show it, and what a comparison of the tensors of two checkpoints found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import Struct, field

Part = Literal["weights", "optimizer", "scheduler", "random"]
PARTS: tuple[Part, ...] = get_args(Part)
Section = Literal["model", "optimizer", "scheduler", "random", "other"]
SECTIONS: tuple[Section, ...] = get_args(Section)
Fate = Literal["same", "changed", "added", "removed", "reshaped", "retyped"]


class Checkpoint(Struct, frozen=True, kw_only=True):
    """One saved state of a training.

    `path`: its folder. `sizes`: the bytes of all files of each part that is there; of the random state, and of the
    schedule, where they have files of their own. `empty`: the names of files of 0 bytes."""

    step: int
    path: str
    sizes: Mapping[Part, int] = field(default_factory=dict)
    empty: tuple[str, ...] = ()


class TensorChange(Struct, frozen=True, kw_only=True):
    """One tensor of two checkpoints. A number is NaN, and a count is None, where nothing could be compared.

    `retyped`: the type differs and the shape does not; the values are compared. `was`: the type and shape before, where
    they differ. `elements`: their number; a complex one counts as two. `changed`: how many have other bits. `l2`,
    `max_abs`: of the difference, over elements that are finite in both. `relative_l2`: `l2` through the norm before; 0
    without a change. `at`, `before`, `after`: the element with the largest difference (the first one with other bits
    where no finite one differs), and its values. `ulps`: how many changed elements moved by so many representable
    numbers. `nan`, `inf`, `norm`: before and after; the norm is over finite elements. `part`, `layer`: what the name
    says of its place in the model; None outside of numbered layers."""

    section: Section
    name: str
    fate: Fate
    dtype: str
    shape: tuple[int, ...]
    was: str = ""
    part: str = ""
    layer: int | None = None
    elements: int = 0
    changed: int | None = None
    l2: float = math.nan
    relative_l2: float = math.nan
    cosine: float = math.nan
    max_abs: float = math.nan
    at: tuple[int, ...] | None = None
    before: float = math.nan
    after: float = math.nan
    ulps: Mapping[str, int] = field(default_factory=dict)
    nan: tuple[int, int] = (0, 0)
    inf: tuple[int, int] = (0, 0)
    norm: tuple[float, float] = (math.nan, math.nan)

    @property
    def moved(self) -> bool:
        """Whether the tensor is not the same."""
        return self.fate != "same"


class ValueChange(Struct, frozen=True, kw_only=True):
    """A value beside the tensors that differs, such as a learning rate. "" stands for one that is not there."""

    section: Section
    name: str
    before: str
    after: str


class Tie(Struct, frozen=True, kw_only=True):
    """Two names for one tensor before. `kept`: whether they are still equal; None where the second checkpoint does not
    have both. `how`: "shares memory", "has equal bytes" or "is not stored"."""

    name: str
    other: str
    how: str
    kept: bool | None


class LayerChange(Struct, frozen=True, kw_only=True):
    """All compared tensors of one part of one layer, as one vector: its relative L2 difference."""

    part: str
    layer: int | None
    tensors: int
    elements: int
    changed: int
    relative_l2: float


class AdapterChange(Struct, frozen=True, kw_only=True):
    """The product of the two matrices of a LoRA adapter, which alone acts on the model: its norm before and after, and
    the norm of the difference. They are not scaled by alpha / r."""

    name: str
    norm: tuple[float, float]
    l2: float
