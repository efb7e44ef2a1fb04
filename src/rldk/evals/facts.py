"""What an evaluation came to, as values that convert to JSON and back."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from rldk.core.model import Finding, Report
from rldk.core.stats.estimates import Estimate

MeasureState = Literal["pass", "warn", "fail", "info", "not_available"]


class EffectSize(Struct, frozen=True, kw_only=True):
    """A standardised difference. `name`: which one (Hedges g, d_z, Cliff's delta, risk difference). `low`, `high`: its
    95 % interval, None where there is none."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


class Measurement(Struct, frozen=True, kw_only=True):
    """One number of an evaluation. `value` with its 95 % interval `low`..`high`; None for what is not known.

    `status`: "warn" also where the interval holds the limit, so that the data cannot tell; "info" where a number has no
    limit. `limit`: what the interval was compared with; `rule`: the same in words. `n`: values; `clusters`: how many of
    them are independent. `detectable`: the smallest difference that the data would have shown with 80 % power.
    `needs`: the data that it would take, where it is not available. `details`: further numbers. `findings`: what rules
    found; a result has them all in its own `findings`."""

    name: str
    title: str
    status: MeasureState
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    clusters: int = 0
    method: str = ""
    limit: float | None = None
    rule: str = ""
    reason: str = ""
    share: bool = False
    needs: tuple[str, ...] = ()
    effect: EffectSize | None = None
    detectable: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class EvalFacts(Report, frozen=True, kw_only=True):
    """The attributes of `EvalResult`, which says what each of them is."""

    suite: str
    overall_score: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    confidence_intervals: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    effect_sizes: dict[str, EffectSize] = field(default_factory=dict)
    sample_size: int = 0
    seed: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    raw_results: dict[str, Measurement] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    not_available: dict[str, str] = field(default_factory=dict)


def known(value: float) -> float | None:
    """The value; None for NaN."""
    return value if value == value else None


def effect_of(estimate: Estimate, name: str) -> EffectSize | None:
    """The effect size of an estimate; None where there is none."""
    if estimate.value != estimate.value:
        return None
    return EffectSize(name=name, value=estimate.value, low=known(estimate.low), high=known(estimate.high))


def measured(name: str, title: str, status: MeasureState, estimate: Estimate, **more: Any) -> Measurement:
    """The measurement of an estimate."""
    return Measurement(
        name=name,
        title=title,
        status=status,
        value=known(estimate.value),
        low=known(estimate.low),
        high=known(estimate.high),
        n=estimate.n,
        clusters=estimate.clusters,
        method=estimate.method,
        **more,
    )


def lacking(name: str, title: str, reason: str, needs: tuple[str, ...] = ()) -> Measurement:
    """The measurement that the data does not allow."""
    return Measurement(name=name, title=title, status="not_available", reason=reason, needs=needs)
