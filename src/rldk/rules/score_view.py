"""What reward data has shown: the views of rules over the subjects "scores" and "rescored"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from rldk.core.stats.estimates import Coupling, Estimate, ReliabilityParts
from rldk.rules.rule import Signal

Status = Literal["pass", "warn", "fail"]


class Shortcut(Struct, frozen=True, kw_only=True):
    """How the reward goes with one feature of the answers to a prompt. `p`: adjusted for the number of features.

    `given`: the features that were held fixed."""

    feature: str
    coupling: Coupling
    p: float
    given: tuple[str, ...] = ()


class Calibration(Struct, frozen=True, kw_only=True):
    """Whether scores are log-odds. `error`: the expected calibration error over ten bins of equal mass; `by_chance`:
    the 95 % quantile of that of perfect scores. `slope`: of the logistic regression on the scores, 1 where these are
    right and below it where they are too certain. `said`, `seen`, `sizes`: the bins."""

    error: float
    by_chance: float
    slope: Estimate
    parts: ReliabilityParts
    n: int
    source: str
    said: tuple[float, ...] = ()
    seen: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()

    @property
    def score(self) -> float:
        """1 for calibrated scores, 0 for scores that are wrong by one half on average."""
        return max(0.0, 1 - 2 * self.error)


class BoundMass(Struct, frozen=True, kw_only=True):
    """The share of rewards within 1 % of an end of their range. `side`: which end; `declared`: somebody said so.

    `exact`: the share that is exactly one value there. `distinct`: how many values the reward takes."""

    share: Estimate
    side: Literal["lower", "upper"]
    bound: float
    exact: float
    distinct: int
    declared: bool = False


class DistributionShift(Struct, frozen=True, kw_only=True):
    """How far one sample lies from another. `distance`: the Wasserstein distance in standard deviations of the other;
    `p`: by permuting whole prompts or blocks of steps. `mean`: the shift in the same unit. `scale`: the ratio of
    standard deviations. `psi`: the population stability index over ten bins, for those who are used to it."""

    against: str
    distance: float
    p: float
    mean: Estimate
    scale: Estimate
    n: int
    n_other: int
    psi: float = math.nan


class GoldCourse(Struct, frozen=True, kw_only=True):
    """Reward and gold over training. `reward`, `gold`: their slopes over the later part, in standard deviations of each
    over the whole of it. `over`: what the slope is over. `peak`: where the gold curve has its top, NaN where it has
    none."""

    reward: Estimate
    gold: Estimate
    over: str
    rows: int
    peak: float = math.nan
    x: tuple[float, ...] = ()
    reward_curve: tuple[float, ...] = ()
    gold_curve: tuple[float, ...] = ()


class ScorerSpread(Struct, frozen=True, kw_only=True):
    """How far the scorers of an ensemble are apart on answers with a high reward.

    The disagreement on an answer is the standard deviation between the scorers, each on a scale of its own. `top`: its
    mean over the tenth of the answers with the highest reward divided by that over the middle eight tenths. `ends`:
    the highest tenth over the lowest one. `ranked_ends`: the same where each scorer counts by its ranks, which no
    stretching of its scale changes. `agreement`: the mean rank correlation of two scorers. `curve`: the mean
    disagreement in each tenth of the reward. `error`: the rank correlation of disagreement and distance from the gold
    score, None without gold."""

    top: Estimate
    ends: Estimate
    ranked_ends: Estimate
    agreement: float
    scorers: tuple[str, ...]
    n: int
    curve: tuple[float, ...] = ()
    error: Estimate | None = None


class Thresholds(Struct, frozen=True, kw_only=True):
    """The limits that a user may set. See `rldk.reward.health`."""

    drift: float = 0.1
    saturation: float = 0.8
    calibration: float = 0.7
    shortcut: float = 0.6
    leakage: float = 0.3
    length_bias: float = 0.35


class ScoresView(Struct, frozen=True, kw_only=True):
    """The facts about one set of rewards; None for what could not be looked at.

    `within`: length and shortcuts are those among the answers to one prompt. `missing`: how many rewards are no
    numbers, of `samples`."""

    samples: int = 0
    within: bool = False
    limits: Thresholds = field(default_factory=Thresholds)
    length: Coupling | None = None
    shortcuts: tuple[Shortcut, ...] | None = None
    words: tuple[Shortcut, ...] | None = None
    position: Coupling | None = None
    accuracy: Estimate | None = None
    style_gap: Estimate | None = None
    calibration: Calibration | None = None
    bound: BoundMass | None = None
    flat_groups: Estimate | None = None
    drift: DistributionShift | None = None
    start: DistributionShift | None = None
    course: GoldCourse | None = None
    disagreement: ScorerSpread | None = None
    noise: Estimate | None = None
    balance: Estimate | None = None
    missing: Estimate | None = None
    contradictions: Estimate | None = None
    overlap: Estimate | None = None
    memorised: Estimate | None = None
    shift: DistributionShift | None = None

    def has(self, need: str) -> bool:
        """Whether there is such a fact."""
        return getattr(self, need, None) is not None


class ScorePairView(Struct, frozen=True, kw_only=True):
    """Two scores of the same answers. `pair_flips`: among pairs of answers to a prompt that both order, those that they
    order differently. `sign_flips`: answers whose scores have different signs. `scale`: the ratio of standard
    deviations, second to first; `mean`: the shift in standard deviations of the first."""

    n: int
    spearman: Estimate
    pair_flips: Estimate | None = None
    sign_flips: Estimate | None = None
    mean: Estimate | None = None
    scale: Estimate | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def has(self, need: str) -> bool:
        """Whether there is such a fact."""
        return getattr(self, need, None) is not None


def judged(value: float, limit: float, message: str, *, metric: str, status: Status = "warn", **more: Any) -> Signal:
    """The signal of a rule over scores. `status`: whether the check only warns, or fails."""
    return Signal(value=value, limit=limit, metric=metric, message=message, evidence={"status": status, **more})


def interval(estimate: Estimate | Coupling, *, percent: bool = False) -> str:
    """The interval in words: `0.31 to 0.45`, or as percentages; "" without one."""
    if estimate.low != estimate.low:
        return ""
    if percent:
        return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
    return f"{estimate.low:.2f} to {estimate.high:.2f}"
