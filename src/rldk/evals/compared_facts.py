"""What a comparison of two evaluations came to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rldk.core.model import Report
from rldk.evals.facts import EffectSize

Outcome = Literal["better", "worse", "different", "no worse", "no difference shown", "not enough data"]


class EvalContrast(Struct, frozen=True, kw_only=True):
    """One score of B against A. `difference`: mean of B minus mean of A, with its 95 % interval `low`..`high`.

    `a`, `b`: the means that are compared. `n`: prompts where `paired`, otherwise answers. `p`: two-sided;
    `p_adjusted`: for the number of scores (Holm) or of parts (Benjamini and Hochberg). `detectable`: the smallest
    difference that this data shows with 80 % power. `needed`: about how many prompts it takes to show the observed
    difference; None where it is shown, or nobody can say. `part`: the category or task; "" for all of the data."""

    metric: str
    outcome: Outcome
    a: float | None = None
    b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n: int = 0
    paired: bool = False
    method: str = ""
    effects: tuple[EffectSize, ...] = ()
    detectable: float | None = None
    needed: int | None = None
    part: str = ""


class ComparedFacts(Report, frozen=True, kw_only=True):
    """The attributes of `EvalComparison`, which says what each of them is."""

    contrasts: tuple[EvalContrast, ...] = ()
    parts: tuple[EvalContrast, ...] = ()
    paired: bool = False
    margin: float = 0.0
    seed: int = 42
