"""A checkpoint of a run, as its files show it: nothing in them is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import Struct, field

Part = Literal["weights", "optimizer", "scheduler", "random"]
PARTS: tuple[Part, ...] = get_args(Part)


class Checkpoint(Struct, frozen=True, kw_only=True):
    """One saved state of a training.

    `path`: its folder. `sizes`: the bytes of all files of each part that is there; of the random state, and of the
    schedule, where they have files of their own. `empty`: the names of files of 0 bytes."""

    step: int
    path: str
    sizes: Mapping[Part, int] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
