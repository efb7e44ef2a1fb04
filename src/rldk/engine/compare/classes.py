"""What kind of difference replicas have, and what replicas that agree prove."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rldk.engine.compare.replicas import ReplicaSpread

ReplicaClass = Literal["bitwise", "numerically close", "chaotic", "input-level", "seed ignored", "structural"]
# float32 has 7 digits: sums in another order differ in the last two of them
CLOSE = 1e-5
# a first difference above this is no rounding: other data, or another seed
LARGE = 1e-2
GROWTH = (
    10.0  # between the two, a difference that grows by this factor is a rounding difference that was not seen at first
)
ALIKE = 0.5  # replicas of one seed that are apart by at least this share of the distance to another seed

MEANING: dict[ReplicaClass, str] = {
    "bitwise": "every value is the same, bit by bit",
    "numerically close": "the values differ only by rounding, and the difference does not grow",
    "chaotic": "the difference begins with rounding and grows: the same numbers are added in another order",
    "input-level": "the first difference is already large: other data, another order of data, or other random numbers",
    "seed ignored": "the seed does not decide: replicas of one seed are as far apart as those of two, or those of two "
    "are equal",
    "structural": "the replicas did not measure the same metrics at the same steps",
}


class SeedControl(Struct, frozen=True, kw_only=True):
    """How far replicas of one seed are from each other, and how far from one of another seed, as shares of the values.

    NaN where it is not known."""

    same: float = math.nan
    other: float = math.nan

    @property
    def has_no_effect(self) -> bool:
        """Whether another seed gives the same numbers."""
        return self.other == 0.0

    @property
    def does_not_decide(self) -> bool:
        """Whether replicas of one seed are as far apart as those of two seeds."""
        return self.same > 0.0 and self.other > 0.0 and self.same >= ALIKE * self.other


def classify(found: Sequence[ReplicaSpread], tolerance: float, control: SeedControl, *, whole: bool) -> ReplicaClass:
    """The class of the differences. `whole`: every replica has every metric at every step and ended well."""
    if not whole:
        return "structural"
    apart = [each for each in found if each.unequal]
    if control.has_no_effect:
        return "seed ignored"
    if not apart:
        return "bitwise"
    largest = max(each.share for each in apart)
    first_step = min(each.first_step for each in apart if each.first_step is not None)
    first = max(each.first_share for each in apart if each.first_step == first_step)
    grows = any(each.growth >= GROWTH for each in apart)
    if largest <= max(tolerance, CLOSE) and not grows:
        return "numerically close"
    if first <= CLOSE or (first <= LARGE and grows):
        return "chaotic"
    at_once = any(each.first_step == each.start for each in apart)  # a seed that decides gives the same beginning
    return "seed ignored" if control.does_not_decide and at_once else "input-level"


def first_mover(found: Sequence[ReplicaSpread]) -> ReplicaSpread | None:
    """The metric that differs first; of several at the same step, the one that differs most."""
    apart = [each for each in found if each.first_step is not None]
    return min(apart, key=lambda each: (each.first_step, -each.first_share), default=None)


def bound(replicas: int) -> float:
    """The largest share of runs that may differ although so many replicas agreed, at 95 % confidence.

    The first replica is what the others are compared with: with a share p of other runs, all others agree with
    probability (1 - p)^(n - 1), and that is 5 % at the bound."""
    return 1.0 - 0.05 ** (1.0 / (replicas - 1)) if replicas > 1 else 1.0


def replicas_for(share: float) -> int:
    """How many replicas must agree, so that at most this share of runs may differ."""
    return 1 + math.ceil(math.log(0.05) / math.log(1.0 - share))
