"""RM: rewards that have no room left."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, interval, judged

MASS = 0.2  # of a continuous reward at one end of its range
FLAT, MOST_FLAT = 0.2, 0.5  # of the groups


@rule(
    "RM025",
    "rewards-at-a-bound",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("bound",),
    causes=(
        "the reward is clipped, or passes through a sigmoid that is saturated",
        "the task is solved, or nothing is",
        "a parser failure gives the same lowest score to many answers",
    ),
    fixes=("train on the score before the sigmoid or the clip", "widen {reward_clip}, or make the task harder"),
)
def rewards_at_a_bound(s: ScoresView) -> Signal | None:
    """Fires when many rewards are at an end of their range.

    Why it matters: Answers that differ get the same reward, so that nothing is learnt from the difference.
    How it is computed: The share of rewards within 1 % of the range of its lower or upper end. For a reward with more
    than 20 values, the check warns when the lower end of the 95 % interval is above 20 %. It fails when the share is
    above the threshold (80 %), which also holds for rewards with fewer values.
    When it is wrong: A task may be solved for good.
    Source: 20 % and 80 % are our own choice. A reward of two values is at its ends by construction.
    """
    b = s.bound
    if b is None:
        return None
    fails = b.share.value > s.limits.saturation
    if not (fails or (b.distinct > 20 and b.share.low > MASS)):
        return None
    message = (
        f"{100 * b.share.value:.1f} % of the rewards ({interval(b.share, percent=True)}) are at the {b.side} end of "
        f"their range, {b.bound:.4g}"
    )
    limit = s.limits.saturation if fails else MASS
    return judged(b.share.value, limit, message, metric="reward", status="fail" if fails else "warn", side=b.side)


@rule(
    "RM026",
    "groups-with-one-reward",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("flat_groups",),
    causes=(
        "prompts are too easy or too hard: all answers to one are right, or all are wrong",
        "the reward is too coarse, or saturated",
        "the answers to a prompt are all the same (temperature, seed)",
    ),
    fixes=("leave out prompts that are always solved or never", "raise {temperature}, or {group_size}"),
)
def groups_with_one_reward(s: ScoresView) -> Signal | None:
    """Fires when all answers to many prompts get exactly the same reward.

    Why it matters: Group-relative advantages of such a prompt are 0: it costs sampling and teaches nothing.
    How it is computed: Of the groups of answers to one prompt (at one step), the share whose rewards are all equal.
    The check warns above 20 % and fails above 50 %, at the lower end of the 95 % interval.
    When it is wrong: A verifiable reward of 0 or 1 on a hard task has many such groups in the beginning.
    Source: DAPO (arXiv 2503.14476) on dynamic sampling; both limits are our own choice.
    """
    f = s.flat_groups
    if f is None or not f.low > FLAT:
        return None
    message = f"in {100 * f.value:.0f} % of {f.n:,} groups all answers to the prompt get the same reward"
    status = "fail" if f.low > MOST_FLAT else "warn"
    return judged(f.value, FLAT, message, metric="reward", status=status)  # type: ignore[arg-type]  # one of two words
