"""REW: what never rose at all, what froze far below its best, what does worse than chance."""

from __future__ import annotations

import math

from rldk.core.algorithms import OFF_POLICY, POLICY, VALUE_BASED
from rldk.rules.rule import Context, Frame, Signal, rule

NEAR_ONE = 0.9  # of rewards between 0 and 1: as good as solved
LONG, NEARLY_OVER, FEWEST = 200, 0.8, 60  # rows; share of the declared steps, with so many rows at least
LATEST, FIRST = 40, 20  # rows
FROZEN_ROWS, FROZEN = 25, 0.01  # of the range
CHANCE_ROWS = 40


def _unknown(context: Context) -> str | None:
    return None if context.algorithm is not None else "this log does not say which algorithm it is of"


@rule(
    "REW022",
    "never-learnt",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=3,
    cooldown=100,
    algorithms=POLICY | VALUE_BASED,
    unless=_unknown,
    causes=(
        "the reward gives no signal: the task is too hard for the policy, or nearly all answers are paid alike",
        "the policy hardly moves: a learning rate that is far too small, an optimiser that holds other weights",
        "it was as good as it gets from the start",
    ),
    fixes=(
        "look at the spread of the reward within a batch, and at ten answers beside their rewards",
        "raise {lr}; begin with easier tasks",
    ),
)
def never_learnt(f: Frame) -> Signal | None:
    """Fires when the reward has not risen although a long budget, or nearly all of the declared one, is spent.

    Why it matters: the trained policy is the one that went in.
    How it is computed: after 200 rows, or 80 % of the declared steps and 60 rows. The mean of the newest 40 rows, and
    every running mean so far, are within twice the standard error (and a twentieth of the level) of the first 20 rows.
    Quiet where the task looks solved: a reward of 0.9 or more that has never been above 1, one that is always the same
    (REW001, REW015 say that), or one whose last 40 rows have no spread below their largest value.
    When it is wrong: a policy that was good from the start, on a reward whose top is not known; a run that resumes
    at its plateau.
    Source: ours, after F01 and F09 of the rule catalogue; 200 rows are those of REW009.
    """
    name, progress = "reward_mean", f.progress()
    now, start, best = f.mean(name, LATEST), f.early(name, 0, FIRST), f.peak(name, 0.1)
    spread, count, first_step = f.std(name, LATEST), f.count(name), f.first("step")
    high, low, top = f.max(name, LATEST), f.min(name, LATEST), f.highest(name, before=0)
    late = count >= LONG or (count >= FEWEST and progress > NEARLY_OVER)
    slack = max(2 * spread / math.sqrt(FIRST), 0.05 * abs(start))
    resumed = first_step > 0.2 * f["step"]
    if not late or resumed or not (now < start + slack and best < start + 2.5 * slack) or high == low:
        return None
    if NEAR_ONE <= now <= top <= 1.0 or now > top - 0.02 * abs(top):
        return None
    spent = f", {progress:.0%} of the declared steps" if progress == progress else ""
    message = f"the reward has not risen in {count:.0f} rows{spent}: {start:.4g} at first, {now:.4g} now"
    return Signal(value=now, limit=start, message=message)


@rule(
    "REW023",
    "reward-frozen-below-its-best",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=3,
    algorithms=POLICY | VALUE_BASED,
    causes=(
        "the policy found one safe action, or one answer, and repeats it",
        "exploration has ended: an entropy of 0, a rate of exploration that was reduced too soon",
    ),
    fixes=("raise {entropy_coef} or {temperature}", "roll back to the best checkpoint, and lower {lr}"),
)
def frozen_below_best(f: Frame) -> Signal | None:
    """Fires when the reward hardly varies any more, at a level in the lower half of all that it has been.

    Why it matters: a policy that always does the same meets nothing to learn from.
    How it is computed: the newest 25 rows lie within 1 % of the range of all rows, and their level is below the middle
    of that range and 30 % below the top; there are at least as many rows before them.
    When it is wrong: an episode that no longer ends, so that an old mean is repeated.
    Source: ours; the form for bitwise equal rewards is REW001.
    """
    name = "reward_mean"
    high, low, count = f.max(name, FROZEN_ROWS), f.min(name, FROZEN_ROWS), f.count(name)
    top, bottom = f.highest(name, before=FROZEN_ROWS), f.lowest(name, before=FROZEN_ROWS)
    least = min(bottom, low)
    far = high < 0.5 * (top + least) and top - high > 0.3 * abs(top)
    if count >= 2 * FROZEN_ROWS and high - low < FROZEN * (top - least) and far:
        message = f"the reward has stood at {low:.4g} for {FROZEN_ROWS} rows; it has been {top:.4g}"
        return Signal(value=low, limit=top, message=message)
    return None


@rule(
    "REW024",
    "agent-worse-than-at-first",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=5,
    cooldown=100,
    algorithms=OFF_POLICY,
    unless=_unknown,
    causes=(
        "the values diverge, and the agent repeats the action that they overrate",
        "a target network that is updated too often, a buffer that is too small, a rate that is too high",
    ),
    fixes=("look at the critic's loss and at the mean of the values", "lower {lr}", "check {target_update} and {gamma}"),
)
def worse_than_at_first(f: Frame) -> Signal | None:
    """Fires when a value-based agent has long earned less than its first, random actions did, and never earned more.

    Why it matters: REW016 for agents that learn from a buffer, which may be worse than chance for a while, not for long.
    How it is computed: from the 60th row on, all of the newest 40 rows are below the median of the first five by
    a fifth of its size, and no running mean was ever above it.
    When it is wrong: tasks that need thousands of episodes before anything is learnt.
    Source: ours. Measured: no such row in 41 public curves of DQN agents that were trained to the end.
    """
    name = "reward_mean"
    high, start, count, best = f.max(name, CHANCE_ROWS), f.early(name, 0, 5), f.count(name), f.peak(name, 0.1)
    if count >= 60 and high < start - 0.2 * abs(start) and best <= start + 0.05 * abs(start):
        message = f"for {CHANCE_ROWS} rows the agent has earned at most {high:.4g}; its first actions earned {start:.4g}"
        return Signal(value=high, limit=start, message=message)
    return None
