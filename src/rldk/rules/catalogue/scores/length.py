"""LEN: rewards that pay for long or for short answers."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, interval, judged


@rule(
    "LEN020",
    "reward-pays-for-length",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("length",),
    causes=(
        "the reward model learnt from preferences in which answers of that kind won",
        "the reward sums something over tokens instead of averaging it",
        "such answers are better here, as long ones are where reasoning helps: gold scores tell",
    ),
    fixes=(
        "train the reward model with answers of matched length, or take length out of the score by regression",
        "add a penalty on length to the reward: {overlong_penalty}",
        "look at the odds that the longer of two equally good answers wins",
    ),
)
def reward_pays_for_length(s: ScoresView) -> Signal | None:
    """Fires when, among the answers to one prompt, the reward goes with the length.

    Why it matters: A policy learns to write longer (or shorter) instead of better.
    How it is computed: Reward and length are ranked among the answers to each prompt, and the ranks correlated
    (Spearman, given the prompt); the 95 % interval is that of clusters of prompts. The check warns when the correlation
    is beyond the threshold (0.35) and fails when the whole interval is. Without prompts the correlation is that over
    all answers. It then cannot tell length from prompts that ask for long answers, and only warns.
    When it is wrong: Long answers may be better. With gold scores in the data, compare the correlation of gold with
    length.
    Source: Singhal et al. 2023 (arXiv 2310.03716) on length in RLHF; 0.35 is our own choice. Measured: see
    docs/reward.md.
    """
    found, limit = s.length, s.limits.length_bias
    if found is None or not abs(found.rho) > limit:
        return None
    fails = s.within and found.least > limit
    words = "longer" if found.rho > 0 else "shorter"
    where = "among the answers to a prompt" if s.within else "over all answers, whatever their prompts"
    inside = f" ({interval(found)})" if interval(found) else ""
    message = f"the reward pays for {words} answers: rank correlation {found.rho:.2f}{inside} {where}"
    return judged(found.rho, limit, message, metric="length", status="fail" if fails else "warn", pairs=found.n)
