"""A replay of a run beside its original, as rules over the subject "replay" see it."""

from __future__ import annotations

import math

from msgspec import Struct

from rldk.core.audit.lock import LockDifference
from rldk.core.audit.outcome import CheckOutcome


class ReplayView(Struct, frozen=True, kw_only=True):
    """`classification`: of the difference. `compared`: how many metrics were compared; 0 where none was.

    `beyond`: metrics that differ by more than the tolerance, with the first step. `missing`: metrics that have no
    values on one side. `share`: the largest difference as a share of the value. `drift`: packages and Python that
    differ from the record, None where they were not recorded. `inputs`: what became of data, weights and
    tokenizers. `lacking`: parts of the code that the record does not have; None where there is no record of the
    code."""

    classification: str = "bitwise"
    compared: int = 0
    beyond: tuple[tuple[str, int], ...] = ()
    missing: tuple[str, ...] = ()
    share: float = math.nan
    tolerance: float = 0.0
    drift: tuple[LockDifference, ...] | None = None
    inputs: tuple[CheckOutcome, ...] = ()
    lacking: tuple[str, ...] | None = None

    def has(self, need: str) -> bool:
        """Whether the replay has what a rule needs: "compared", "drift", "inputs" or "lacking"."""
        if need == "inputs":
            return any(one.status != "not_checked" for one in self.inputs)
        found = getattr(self, need, None)
        return found is not None and found != 0
