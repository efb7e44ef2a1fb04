"""What a comparison of two runs came to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rldk.core.model import Report
from rldk.core.view import View

Question = Literal["identical", "same-seed", "seed-noise", "not-identifiable"]


class SignalDivergence(Struct, frozen=True, kw_only=True):
    """How one signal of B differs from what it is compared with.

    `n`: common steps. `first_step`: the first of the consecutive steps beyond the limit, None where there are none.
    `onset`: a step before which nothing was unusual, so that the change began between `onset` and `first_step`.
    `score`: the largest excursion in limits; more than 1 is beyond. `p`: the adjusted p-value, None where the question
    is not a statistical one. `a`, `b`: the values of both runs at `first_step`, or at the last common step. `ulps`: at
    the first step that differs in its bits, how many floating-point numbers lie between the two values. `kind`: of a
    pair with one seed, "rounding" where the difference grew out of float noise and "change" where it was large at
    once."""

    signal: str
    n: int
    diverged: bool
    first_step: int | None = None
    onset: int | None = None
    first_unequal: int | None = None
    score: float | None = None
    p: float | None = None
    a: float | None = None
    b: float | None = None
    ulps: float | None = None
    kind: Literal["", "rounding", "change"] = ""


class DivergenceReport(Report, frozen=True, kw_only=True):
    """From where on run B differs from run A, and which question that answers.

    `question`: "identical": A and B are the same in every bit that was logged. "same-seed": they share a seed, and any
    difference beyond rounding is a difference of code, data or configuration. "seed-noise": B was compared with the
    range of several runs. "not-identifiable": B and A have different seeds, and one pair cannot tell a change from a
    seed; `diverged` then says whether they part at all. `tripped_signals`: in the order in which they moved.
    `suspected_causes`: what A and B record differently, the likeliest first. `details`: one entry a signal."""

    diverged: bool
    question: Question
    first_step: int | None = None
    first_mover: str | None = None
    tripped_signals: tuple[str, ...] = ()
    suspected_causes: tuple[str, ...] = ()
    details: tuple[SignalDivergence, ...] = ()
    report_path: str | None = None
    events_csv_path: str | None = None

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        from rldk.diff.view import divergence_view

        return divergence_view(self)
