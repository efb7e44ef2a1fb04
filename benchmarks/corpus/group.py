"""What the plans are made of: groups of runs of one kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Args = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs of one kind: `healthy` of them without a fault in the split tune, and one per fault and time of onset."""

    module: str
    framework: str
    algo: str
    healthy: int
    faults: str
    """Names with the times of onset: s from the first step, m in the middle; `lr_zero:sm loss_nan:m`."""
    vary: Callable[[random.Random], Args]
    """The arguments of a healthy run."""
    change: Callable[[Args, str, bool, random.Random], Args]
    """The arguments of a faulty run, made from those of a healthy one; True when broken from the start."""
    onsets: Callable[[Args, random.Random], int]
    tolerated: tuple[str, ...] = ()
    limit_s: float = 90.0
