"""Runs that were stopped and resumed, as rules over the subject "resume" see them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

LostKind = Literal["weights", "schedule", "optimizer", "random", "data", "other"]


class LostState(Struct, frozen=True, kw_only=True):
    """A state that a resumed run did not have as the uninterrupted run had it. `message`: how that was seen."""

    kind: LostKind
    message: str


class ResumedDifference(Struct, frozen=True, kw_only=True):
    """How a run differs from the uninterrupted one. `message`: in words; "" where it does not differ. `metric`, `step`,
    `share`: the first difference; the share is of the larger value."""

    message: str = ""
    metric: str = ""
    step: int | None = None
    share: float | None = None


class ResumeView(Struct, frozen=True, kw_only=True):
    """`repeatable`: two uninterrupted runs agree. `resumed`, `killed`: how the run that was resumed, and the one that
    was killed and resumed, differ; None where there is none to judge. `saving`: how a run that saves differs from one
    that does not; None where that was not tried. `lost`: what the resumed run had lost; None where states were not
    recorded. `inventory`: kinds of state -> whether the checkpoint has it; None where no checkpoint could be read.
    `in_place`: checkpoint files that were written over; None where none was written twice."""

    repeatable: bool = False
    resumed: ResumedDifference | None = None
    killed: ResumedDifference | None = None
    saving: ResumedDifference | None = None
    lost: tuple[LostState, ...] | None = None
    inventory: dict[str, bool] | None = None
    in_place: tuple[str, ...] | None = None

    def has(self, need: str) -> bool:
        """Whether the check had it: "repeatable", "resumed", "killed", "saving", "states", "inventory", "writing"."""
        if need == "repeatable":
            return self.repeatable
        found = {"states": self.lost, "writing": self.in_place}.get(need, getattr(self, need, None))
        return found is not None

    def lost_of(self, kind: LostKind) -> LostState | None:
        """The lost state of that kind."""
        return next((one for one in self.lost or () if one.kind == kind), None)

    @property
    def differs(self) -> bool:
        """Whether a resumed run, killed before or not, is not the uninterrupted one."""
        return any(one is not None and bool(one.message) for one in (self.resumed, self.killed))
