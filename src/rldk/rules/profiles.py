"""The profile of a training, as rules over the subject "profile" see it."""

from __future__ import annotations

import math

from msgspec import Struct


class MemoryTrend(Struct, frozen=True, kw_only=True):
    """How the lows of memory move. `grows`: steadily, without levelling off, and by more than a little.

    `slope`: bytes per second, with its interval of 95 %. `p`: of a test that it rises. `growth`: bytes over the
    `seconds` that were judged. `level`: bytes, in the middle of them."""

    grows: bool
    slope: float
    low: float
    high: float
    p: float
    growth: float
    level: float
    seconds: float


class ProfileView(Struct, frozen=True, kw_only=True):
    """`memory`: of the processes, without pages of files; None where it could not be judged. `device`: what torch has
    given out on GPUs. `room`: bytes that are free on the machine, NaN where not known. `step_s`: seconds of a step, NaN
    where no step was seen."""

    memory: MemoryTrend | None = None
    device: MemoryTrend | None = None
    room: float = math.nan
    step_s: float = math.nan

    def has(self, need: str) -> bool:
        """Whether the profile has what a rule needs: "memory" or "device"."""
        return getattr(self, need, None) is not None
