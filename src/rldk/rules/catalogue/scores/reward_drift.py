"""RM: rewards that are not what they were, and rewards that rise while the goal falls."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import DistributionShift, ScoresView, interval, judged

LARGE = 0.25  # standard deviations
SURE = 0.01


def moved(d: DistributionShift | None, limit: float) -> bool:
    """Whether the samples are farther apart than the limit, and farther than chance explains."""
    return d is not None and d.distance >= limit and d.p < SURE


def shift_words(d: DistributionShift) -> str:
    """The shift in words, with the intervals of its parts."""
    inside = f" ({interval(d.mean)})" if interval(d.mean) else ""
    ratio = f" ({interval(d.scale)})" if interval(d.scale) else ""
    return (
        f"{d.distance:.2f} standard deviations (Wasserstein); mean {d.mean.value:+.2f}{inside}, "
        f"spread times {d.scale.value:.2f}{ratio}"
    )


@rule(
    "RM027",
    "rewards-drifted-from-reference",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("drift",),
    causes=(
        "another version of the reward model, of its prompt, or of its normalisation",
        "other prompts than in the reference data",
        "the policy that wrote the answers has changed, which is no fault of the reward",
    ),
    fixes=("score one set of answers with both versions: `rldk reward-drift`", "freeze version and template"),
)
def rewards_drifted(s: ScoresView) -> Signal | None:
    """Fires when the rewards are distributed differently from those of the reference data.

    Why it matters: Rewards of both cannot be compared, and a policy that is trained on a mix of them chases the scale.
    How it is computed: The Wasserstein distance in standard deviations of the reference is at least the threshold
    (0.1), and a permutation of whole prompts gives p below 0.01. The check fails from 0.25 on.
    When it is wrong: Answers of a better policy have better rewards: only scores of the same answers tell a change of
    the reward from a change of the policy.
    Source: 0.1 and 0.25 are conventions of drift monitoring, without a formal basis; the permutation is there because
    tests that ignore the dependence of answers to one prompt raise up to half of their alarms by chance (simulated).
    """
    d = s.drift
    if d is None or not moved(d, s.limits.drift):
        return None
    message = f"the rewards have moved from {d.against} by {shift_words(d)}"
    status = "fail" if d.distance >= LARGE else "warn"
    return judged(d.distance, s.limits.drift, message, metric="reward", status=status, psi=d.psi)  # type: ignore[arg-type]  # one of two words


@rule(
    "RM028",
    "rewards-below-their-start",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("start",),
    causes=("the policy got worse", "the reward changed in mid-run: a server, a template, a normaliser"),
    fixes=("look at the curve: `rldk doctor` says from which step on", "score early answers again, and compare"),
)
def rewards_below_start(s: ScoresView) -> Signal | None:
    """Fires when the last fifth of the rewards lies below the first fifth.

    Why it matters: Training should raise the reward. A rise is no drift and passes.
    How it is computed: As RM027, of the last fifth of the steps against the first one, permuting blocks of steps, where
    the mean has fallen by the threshold (0.1 standard deviations) or more. The check fails from 0.25 on.
    When it is wrong: A curriculum may become harder on purpose.
    Source: as RM027.
    """
    d = s.start
    if d is None or not moved(d, s.limits.drift) or not d.mean.value <= -s.limits.drift:
        return None
    message = f"the rewards of the last fifth are below those of the first: {shift_words(d)}"
    status = "fail" if d.distance >= LARGE else "warn"
    return judged(d.mean.value, -s.limits.drift, message, metric="reward", status=status)  # type: ignore[arg-type]  # one of two words


@rule(
    "RM029",
    "gold-falls-while-reward-rises",
    severity="critical",
    tier=3,
    data="P",
    subject="scores",
    needs=("course",),
    causes=(
        "the policy exploits the reward model where that is wrong (over-optimisation)",
        "the KL penalty is too weak for the quality of the reward model",
    ),
    fixes=(
        "go back to the checkpoint at the peak of the gold score, and stop there",
        "raise {kl_coef}",
        "read the twenty answers with the highest reward and the lowest gold score",
        "train the reward model again with answers of this policy",
    ),
)
def gold_falls(s: ScoresView) -> Signal | None:
    """Fires when the reward still rises and the gold score falls.

    Why it matters: This is reward hacking: the policy gets better at the reward and worse at the goal.
    How it is computed: Over the second half of the run (of sqrt(KL) where KL is there, else of the steps), the slopes
    of both over ten blocks. The 95 % interval of the reward's slope is above 0, and that of the gold score's below 0.
    When it is wrong: The gold score may be measured on other prompts.
    Source: Gao, Schulman, Hilton 2022 (arXiv 2210.10760): reward and gold over sqrt(KL).
    """
    c = s.course
    if c is None or not (c.reward.low > 0 and c.gold.high < 0):
        return None
    top = f"; gold was highest at {c.over} {c.peak:.4g}" if c.peak == c.peak else ""
    message = (
        f"over the second half the reward rises by {c.reward.value:.2f} standard deviations ({interval(c.reward)}) and "
        f"the gold score changes by {c.gold.value:.2f} ({interval(c.gold)}){top}"
    )
    return judged(c.gold.value, 0.0, message, metric="gold", status="fail")
