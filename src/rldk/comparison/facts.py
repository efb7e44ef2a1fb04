"""What a comparison of groups of runs came to, without its view."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rldk.core.model import Report

Outcome = Literal["better", "worse", "different", "not enough evidence", "too few seeds"]


class GroupScore(Struct, frozen=True, kw_only=True):
    """One metric of one group. A score is the mean of a run's last tenth.

    `iqm`: the interquartile mean of the scores, `low` and `high` its 95 % interval, None where there are too few seeds.
    `spread`: the standard deviation among seeds. `steps`: the median step at which the runs reached the level that the
    baseline has in the end, `reached` how many did. `profile`: for each of `levels` the share of runs that score
    higher."""

    group: str
    metric: str
    scores: tuple[float, ...]
    iqm: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    steps: float | None = None
    reached: int = 0
    levels: tuple[float, ...] = ()
    profile: tuple[float, ...] = ()


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
