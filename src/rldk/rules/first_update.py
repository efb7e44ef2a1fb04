"""CLIP: old and new log-probabilities that disagree on the very first rows, before the weights can have moved."""

from __future__ import annotations

from rldk.core.algorithms import CLIPPED
from rldk.rules.rule import Context, Frame, Signal, rule
from rldk.rules.witness import episodic

ROWS = 3
CLIPPED_SHARE, UPDATE_KL = 0.1, 0.05
SMALL = 2e-5  # learning rate


def _sequences(context: Context) -> str | None:
    whole = context.algorithm == "rloo" or context.config.get("importance_sampling_level") == "sequence"
    return "the ratio is one of whole sequences, which leaves its range at once" if whole else episodic(context)


@rule(
    "CLIP008",
    "disagreement-before-any-update",
    severity="warn",
    tier=3,
    needs=("clip_frac", "kl_policy_update"),
    algorithms=CLIPPED,
    unless=_sequences,
    causes=(
        "old and new log-probabilities are computed over other tokens: attention mask, padding or position ids differ",
        "the temperature is applied on one side only",
        "dropout is on in one of the two passes",
        "old log-probabilities come from the rollout engine, whose weights or precision are others",
    ),
    fixes=(
        "compare both log-probabilities of one batch, token by token, before the first optimiser step",
        "turn off {dropout} in both passes; recompute old log-probabilities with the trainer",
        "check {temperature} on both sides",
    ),
)
def disagreement_before_any_update(f: Frame) -> Signal | None:
    """Fires when ratios are clipped and the update KL is large on each of the first rows, at a small learning rate.

    Why it matters: CLIP001 for logs without the ratio of the first mini-batch. Before the weights have moved both
    log-probabilities are of one policy; what is logged then is a difference of the computation.
    How it is computed: on each of the first three rows more than 10 % of the ratios are clipped and the update KL is
    above 0.05 nats, the learning rate is at most 2e-5, and these rows differ by less than a factor of two: an update
    that moved the policy would not begin at its full size.
    When it is wrong: asynchronous rollouts; dozens of updates on each batch.
    Source: identity (see CLIP001); verl#6278 (0.42 and 0.31 at the first step with a rate of 1e-6). 10 %, 0.05 and
    2e-5: ours; no finding on the healthy runs of the corpora.
    """
    clipped, kl, lr = f.min("clip_frac", ROWS), f.min("kl_policy_update", ROWS), f.highest("lr", before=0)
    most, count = f.max("kl_policy_update", ROWS), f.count("clip_frac")
    if count == ROWS and clipped > CLIPPED_SHARE and kl > UPDATE_KL and most < 2 * kl and lr <= SMALL:
        message = (
            f"old and new log-probabilities disagree before any update can have moved the policy: "
            f"{clipped:.0%} of the ratios are clipped and the update KL is {kl:.3g} from the first row on"
        )
        return Signal(value=kl, limit=UPDATE_KL, message=message, metric="kl_policy_update")
    return None
