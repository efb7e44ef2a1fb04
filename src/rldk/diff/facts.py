"""What a comparison of two runs came to, without its view."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rldk.core.model import Report

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


class DivergenceFacts(Report, frozen=True, kw_only=True):
    """The attributes of `DivergenceReport`, which says what each of them is."""

    diverged: bool
    question: Question
    first_step: int | None = None
    first_mover: str | None = None
    tripped_signals: tuple[str, ...] = ()
    suspected_causes: tuple[str, ...] = ()
    details: tuple[SignalDivergence, ...] = ()
    report_path: str | None = None
    events_csv_path: str | None = None
