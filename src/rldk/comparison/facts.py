"""What a comparison of groups of runs came to, without its view."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rldk.core.model import Report

Outcome = Literal["better", "worse", "different", "not enough evidence", "too few seeds"]
SettingOutcome = Literal["goes with the score", "no evidence", "not enough runs"]


class GroupScore(Struct, frozen=True, kw_only=True):
    """One metric of one group. A score is the mean of a run's last tenth.

    `iqm`: the interquartile mean of the scores, `low` and `high` its 95 % interval, None where there are too few seeds.
    `spread`: the standard deviation among seeds, `spread_low` and `spread_high` its 95 % interval for normal scores.
    `steps`: the median step at which the runs reached the level that the
    baseline has in the end, `reached` how many did. `profile`: for each of `levels` the share of runs that score
    higher, and `profile_low` and `profile_high` the 95 % interval of the share (Wilson)."""

    group: str
    metric: str
    scores: tuple[float, ...]
    iqm: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    spread_low: float | None = None
    spread_high: float | None = None
    steps: float | None = None
    reached: int = 0
    levels: tuple[float, ...] = ()
    profile: tuple[float, ...] = ()
    profile_low: tuple[float, ...] = ()
    profile_high: tuple[float, ...] = ()


class GroupCurve(Struct, frozen=True, kw_only=True):
    """The learning curve of one metric of one group: the interquartile mean `middle` of `runs` runs up to each of the
    steps, and its pointwise 95 % band. All arrays are equally long. None in the band where there is one run only."""

    group: str
    metric: str
    runs: int
    step: tuple[int, ...]
    middle: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class GroupCost(Struct, frozen=True, kw_only=True):
    """What the runs of a group took, the median over them. `env_steps`: of the environments. `seconds`: from the first
    row of the log to the last. `operations`: floating-point operations. None where a run of the comparison does not log
    it."""

    group: str
    steps: float | None = None
    env_steps: float | None = None
    tokens: float | None = None
    seconds: float | None = None
    operations: float | None = None


class SettingEffect(Struct, frozen=True, kw_only=True):
    """How the score goes with one key of the recorded configurations.

    `kind`: of "ordered" numbers `strength` is Spearman's rank correlation, with `low` and `high` as its 95 % interval;
    of "unordered" values it is the share of the variance of the ranks that lies between them, 0 to 1. `values`: each
    value, how many runs have it, and their mean score. `p`: of a permutation test, adjusted for the number of keys,
    None with too few runs. `together_with`: keys that part the runs in the same way, so that nobody can tell which of
    them it is."""

    key: str
    kind: Literal["ordered", "unordered"]
    runs: int
    values: tuple[tuple[str, int, float], ...] = ()
    strength: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    outcome: SettingOutcome = "not enough runs"
    together_with: tuple[str, ...] = ()


class GroupContrast(Struct, frozen=True, kw_only=True):
    """One metric of a group against the baseline's. `gap`: of the interquartile means, `low` and `high` its interval.
    `improvement`: the probability that a run of the group scores better than one of the baseline. `seeds`: about how
    many runs each group needs to show a gap of this size, None where nobody can say."""

    group: str
    metric: str
    outcome: Outcome
    gap: float
    low: float | None = None
    high: float | None = None
    improvement: float | None = None
    seeds: int | None = None


class ComparisonFacts(Report, frozen=True, kw_only=True):
    """The attributes of `ComparisonReport`, which says what each of them is."""

    groups: dict[str, tuple[str, ...]]
    baseline: str
    metrics: tuple[str, ...]
    scores: tuple[GroupScore, ...] = ()
    contrasts: tuple[GroupContrast, ...] = ()
    curves: tuple[GroupCurve, ...] = ()
    costs: tuple[GroupCost, ...] = ()
    settings: tuple[SettingEffect, ...] = ()
    seed_share: float | None = None
