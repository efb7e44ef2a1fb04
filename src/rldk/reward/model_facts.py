"""What a comparison of two reward models came to, without how it looks."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rldk.core.model import Report
from rldk.core.stats.estimates import Estimate
from rldk.rules.score_view import Calibration


class Disagreement(Struct, frozen=True, kw_only=True):
    """One answer on which two models disagree. `ranks`: its place under both, as shares from 0 (worst) to 1 (best).

    Texts are cut, and secrets in them are hidden."""

    key: str
    score_a: float
    score_b: float
    ranks: tuple[float, float]
    prompt: str = ""
    response: str = ""


class RewardModelFacts(Report, frozen=True, kw_only=True):
    """Two reward models on the same answers. None for what could not be measured.

    `passed`: no finding fails. `n`: answers that both scored. `missing`: answers without a score from the first and
    from the second model. `pair_flips`: of pairs of answers to a prompt that both order, those ordered differently.
    `sign_flips`: answers with scores of different signs. `mean_shift`: second minus first, in standard deviations of
    the first. `scale`: the ratio of standard deviations, second to first. `calibration`: of each model on the
    preference pairs, where the data has them; `accuracy`: the same."""

    model_a: str
    model_b: str
    n: int
    missing: tuple[int, int] = (0, 0)
    pearson: Estimate
    spearman: Estimate
    kendall: float | None = None
    pair_flips: Estimate | None = None
    sign_flips: Estimate | None = None
    mean_shift: Estimate | None = None
    scale: Estimate | None = None
    calibration: dict[str, Calibration] = field(default_factory=dict)
    accuracy: dict[str, Estimate] = field(default_factory=dict)
    disagreements: tuple[Disagreement, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
