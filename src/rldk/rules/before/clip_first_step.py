"""CLIP: the ratio of new to old probabilities before anything was updated."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView

_LIMIT = 0.02  # bf16 rounding of a ratio of two passes over the same tokens


@rule(
    "CLIP030",
    "first-ratio-not-one",
    severity="critical",
    tier=0,
    data="T",
    subject="setup",
    needs=("first_step.ratio_gap",),
    causes=(
        "dropout is on in one of the two passes",
        "the two passes differ in padding, position ids, temperature or number format",
    ),
    fixes=("switch dropout off for training", "compute old and new probabilities by the same function"),
)
def first_ratio_not_one(s: SetupView) -> Signal | None:
    """Fires when the ratio on the first minibatch is not 1.

    Why it matters: Nothing was updated yet, so that old and new policy are the same. A ratio beside 1 is an error in
    how one of them is computed, and it clips or amplifies every later step.
    How it is computed: |ratio - 1| of the first minibatch, where the trainer shows it (TRL: its clip metrics and its
    log-probabilities), is above 0.02.
    When it is wrong: Rollouts of an engine with other kernels differ by more; use OFF001 for that gap.
    Source: CLIP001 of the rule catalogue with its tolerance for 16 bits; trl#454.
    """
    step = s.first_step
    if step is None or step.ratio_gap is None or not step.ratio_gap > _LIMIT:
        return None
    message = f"the ratio of the first minibatch is off 1 by {step.ratio_gap:.3g}"
    return Signal(value=step.ratio_gap, limit=_LIMIT, metric="ratio", message=message)
