"""Makes a drift card from two runs, or from the report of their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rldk.cards.trust.kinds import card
from rldk.diff.card import DriftCard, drift_card
from rldk.diff.divergence import first_divergence
from rldk.diff.report import DivergenceReport
from rldk.errors import UsageError


@card("drift")
def card_of_pair(
    run_a: Any,
    run_b: Any = None,
    *,
    signals: Sequence[str] | str | None = None,
    baseline_runs: Any = None,
    field_map: Mapping[str, str] | None = None,
    command: str = "",
    **settings: Any,
) -> DriftCard:
    """The card of two runs, given as `first_divergence` takes them, or of a `DivergenceReport` alone.

    `settings`: `k_consecutive`, `window`, `tolerance` and `align_on` of `first_divergence`, whose errors it raises.
    `command`: prints the card again."""
    if isinstance(run_a, DivergenceReport):
        return drift_card(run_a, command=command)
    if run_b is None:
        raise UsageError("a drift card needs two runs", hint="give the run to compare with, and the one that changed")
    report = first_divergence(run_a, run_b, signals, baseline_runs=baseline_runs, field_map=field_map, **settings)
    return drift_card(report, command=command)
