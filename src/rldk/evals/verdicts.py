"""What an interval says about a limit: beyond it, within it, or undecided."""

from __future__ import annotations

from rldk.core.stats.estimates import Estimate
from rldk.evals.facts import MeasureState

UNDECIDED = "the interval holds the limit: the data cannot tell"


def below(estimate: Estimate, limit: float) -> tuple[MeasureState, str]:
    """A pass where the whole interval is below the limit, a failure where it is above, and a warning between."""
    if not estimate.bounded:
        return "info", f"no interval: {estimate.method}"
    if estimate.high < limit:
        return "pass", ""
    return ("fail", "the whole interval is above the limit") if estimate.low > limit else ("warn", UNDECIDED)


def above(estimate: Estimate, limit: float) -> tuple[MeasureState, str]:
    """The same the other way round: a pass where the whole interval is above the limit."""
    if not estimate.bounded:
        return "info", f"no interval: {estimate.method}"
    if estimate.low > limit:
        return "pass", ""
    return ("fail", "the whole interval is below the limit") if estimate.high < limit else ("warn", UNDECIDED)


def within(estimate: Estimate, limit: float) -> tuple[MeasureState, str]:
    """A pass where the interval lies within -limit..limit (equivalence), a failure where it lies beyond on one side."""
    if not estimate.bounded:
        return "info", f"no interval: {estimate.method}"
    if -limit < estimate.low and estimate.high < limit:
        return "pass", ""
    beyond = estimate.low > limit or estimate.high < -limit
    return ("fail", "the whole interval is beyond the limit") if beyond else ("warn", UNDECIDED)
